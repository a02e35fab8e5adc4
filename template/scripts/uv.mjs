// uv: from PATH when it is there and new enough, else brought from PyPI into the home's .cache/uv.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { HOME, isOwn } from './home.mjs';
import { endWithThisProcess } from './processes.mjs';

const OLDEST = [0, 13, 4]; // what workers-py asks for
const FOLDER = path.join(HOME, '.cache/uv');
const BROUGHT = path.join(FOLDER, process.platform === 'win32' ? 'Scripts/uv.exe' : 'bin/uv');
const PYTHONS = process.platform === 'win32' ? ['python', 'py'] : ['python3', 'python'];

// A Worker without a home of its own keeps its environment to itself.
// prettier-ignore
const ENVIRONMENT = isOwn ? [] : [
  '--no-project', '--isolated', '--python', '>=3.11',
  '--with-requirements', path.join(HOME, 'requirements/test.txt'),
];

/** The arguments of uv that start a Python of this machine with the packages of the tests. */
export const PYTHON = ['run', '--quiet', ...ENVIRONMENT, 'python'];

const run = promisify(execFile);
let found;

/** The path of a uv that will do. Throws an Error when there is none and none can be brought. */
export function uv() {
  return (found ??= find());
}

/**
 * Runs uv with `args`, its output on ours, `env` added to its environment. It reads the text `input`;
 * without, what this process reads where `stdin` is 'inherit'. Resolves to its exit code.
 */
export async function runUv(args, { input, stdin = 'ignore', env } = {}) {
  const stdio = [input === undefined ? stdin : 'pipe', 'inherit', 'inherit'];
  const child = spawn(await uv(), args, { stdio, env: { ...indexEnvironment(), ...env } });
  endWithThisProcess(child);
  child.stdin?.end(input);
  const [code] = await once(child, 'exit');
  return code ?? 1;
}

/** As runUv, for a command that reads from the terminal, and whose Ctrl-C is its own. */
export function runInteractively(args, env) {
  process.removeAllListeners('SIGINT').on('SIGINT', () => {});
  return runUv(args, { stdin: 'inherit', env });
}

/** The environment for uv and pip: a package index named to one of them holds for both. */
export function indexEnvironment(env = process.env) {
  const index = env.UV_DEFAULT_INDEX ?? env.UV_INDEX_URL ?? env.PIP_INDEX_URL;
  if (!index) return { ...env };
  const url = index.replace(/^[\w.-]+=/, ''); // uv lets an index have a name: NAME=URL
  return { UV_DEFAULT_INDEX: index, PIP_INDEX_URL: url, ...env };
}

async function find() {
  if (await isNewEnough('uv')) return 'uv';
  // pywrangler looks for it there.
  process.env.PATH = [path.dirname(BROUGHT), process.env.PATH].join(path.delimiter);
  return (await isNewEnough(BROUGHT)) ? BROUGHT : bring();
}

async function isNewEnough(program) {
  try {
    const { stdout } = await run(program, ['--version']);
    const [, ...version] = stdout.match(/(\d+)\.(\d+)\.(\d+)/).map(Number);
    const first = OLDEST.findIndex((part, i) => part !== version[i]);
    return first === -1 || version[first] > OLDEST[first];
  } catch {
    return false;
  }
}

async function bring() {
  const python = await anyPython();
  console.error('bringing uv into .cache/uv ...');
  await rm(FOLDER, { recursive: true, force: true });
  await run(python, ['-m', 'venv', FOLDER]);
  const install = ['-m', 'pip', 'install', '--quiet', `uv>=${OLDEST.join('.')}`];
  await run(path.join(path.dirname(BROUGHT), 'python'), install, { env: indexEnvironment() });
  return BROUGHT;
}

async function anyPython() {
  for (const candidate of PYTHONS) {
    try {
      await run(candidate, ['-c', 'import sys, venv; sys.exit(sys.version_info < (3, 11))']);
      return candidate;
    } catch {
      // not there, or too old: the next one
    }
  }
  throw new Error(
    'this needs uv (https://docs.astral.sh/uv/) or Python 3.11+ with its venv module',
  );
}
