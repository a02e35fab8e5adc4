// Python Workers on workerd, on this machine: Miniflare, told to start workerd with the bundle of bundle.mjs.
import childProcess from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { bundle } from './bundle.mjs';
import { HOME } from './home.mjs';
import { importsOf, ownModules } from './wrangler.mjs';

// Wrangler has it on board, in the version that goes with it.
const require = createRequire(createRequire(import.meta.url).resolve('wrangler'));
const { Miniflare, convertV4MiniflareOptions, NoOpLog } = require('miniflare');

const CACHE = path.join(HOME, '.cache/workerd');
const ARGUMENTS = 'WORKERD_ARGUMENTS';
const SNAPSHOT = 'snapshot.bin';

// Select the development bundle: the flag of the newest Python wins, so the released ones have to be off.
// python_dedicated_snapshot, which those imply, lets one Worker restore what another one saved.
const FLAGS = [
  'python_workers_development',
  'no_python_workers_314',
  'no_python_workers_20250116',
  'python_dedicated_snapshot',
];
// Until these dates workerd brings an SDK of its own, which does not know this Python.
const SDK_FLAGS = {
  enable_python_external_sdk: '2026-04-21',
  python_process_pth_files: '2026-05-26',
};
// What a project may say to the contrary.
const REPLACED =
  /^(?:no_|disable_|enable_)?python_(?:workers_\d+|dedicated_snapshot|external_sdk|process_pth_files)$/;

// Miniflare has no option for workerd's arguments.
const { spawn } = childProcess;
childProcess.spawn = (command, args, options) => {
  const own = JSON.parse(options?.env?.[ARGUMENTS] ?? '[]');
  return spawn(command, own.length ? [args[0], ...own, ...args.slice(1)] : args, options);
};

/**
 * Starts workerd with `workers`, as Miniflare takes them (version 4); `shared` are Miniflare's own
 * options. `snapshot` is a folder that `makeSnapshot` returned.
 *
 * Returns the Miniflare, whose `reload(workers)` replaces them.
 */
export function startWorkerd(workers, { snapshot, ...shared } = {}) {
  const load = snapshot ? loading(snapshot) : [];
  const options = (list) => miniflareOptions(list, shared, load);
  const workerd = new Miniflare(options(workers));
  return Object.assign(workerd, { reload: (list) => workerd.setOptions(options(list)) });
}

function miniflareOptions(workers, shared, extra) {
  const args = [`--pyodide-bundle-disk-cache-dir=${bundle(CACHE)}`, ...extra];
  return convertV4MiniflareOptions({
    host: '127.0.0.1',
    port: 0,
    cf: false,
    log: new NoOpLog(),
    telemetry: { enabled: false },
    unsafeRuntimeEnv: { [ARGUMENTS]: JSON.stringify(args) },
    ...shared,
    workers: workers.map((worker) => ({
      modulesRoot: '/',
      ...worker,
      compatibilityFlags: flags(worker),
    })),
  });
}

function flags({ compatibilityDate, compatibilityFlags = [] }) {
  if (!compatibilityFlags.includes('python_workers')) return compatibilityFlags;
  const kept = compatibilityFlags.filter((flag) => !REPLACED.test(flag));
  const sdk = Object.keys(SDK_FLAGS).filter((flag) => compatibilityDate < SDK_FLAGS[flag]);
  return [...kept, ...FLAGS, ...sdk];
}

const saving = (folder) => ['--python-save-snapshot', `--python-snapshot-dir=${folder}`];
const loading = (folder) => [
  `--python-load-snapshot=${SNAPSHOT}`,
  `--python-snapshot-dir=${folder}`,
];

/** A snapshot for the Worker of `config`, whose packages are `modules`. */
export function snapshotOf(config, modules) {
  const { compatibility_date: compatibilityDate, compatibility_flags: compatibilityFlags } = config;
  const imports = importsOf(ownModules(config), modules);
  return makeSnapshot({ modules, imports, compatibilityDate, compatibilityFlags });
}

/**
 * Makes a snapshot of a Python that has the packages of `modules` (python_modules/... and others) loaded,
 * by running each of `imports`, statements of which some may fail. Workers start from it several times faster,
 * whatever else they consist of, as long as packages, date and flags are the same.
 *
 * Resolves to its folder; it is made once. Resolves to undefined where these packages do not bear it.
 */
export async function makeSnapshot({ modules, imports, compatibilityDate, compatibilityFlags }) {
  const statements = [...new Set([...compiled(modules), ...imports])];
  const main = { type: 'PythonModule', path: '/snapshot.py', contents: snapshotWorker(statements) };
  const key = createHash('sha256').update(bundle(CACHE)).update(compatibilityDate);
  for (const text of [...compatibilityFlags, ...FLAGS, main.contents]) key.update(`${text}\n`);
  for (const { path: name, contents } of modules) key.update(`${name}\n`).update(contents);
  const folder = path.join(CACHE, `snapshot-${key.digest('hex').slice(0, 16)}`);
  if (existsSync(folder)) return existsSync(path.join(folder, SNAPSHOT)) ? folder : undefined;
  console.error('making a snapshot of the packages, once ...');
  const scratch = `${folder}-${process.pid}`;
  mkdirSync(scratch, { recursive: true });
  const worker = { modules: [main, ...modules], compatibilityDate, compatibilityFlags };
  const works = (await answers(worker, saving(scratch))) && (await answers(worker, loading(scratch)));
  if (!works) {
    rmSync(path.join(scratch, SNAPSHOT), { force: true });
    console.error('this set of packages cannot be kept in a snapshot: each start loads it anew');
  }
  renameSync(scratch, folder);
  return makeSnapshot(arguments[0]);
}

async function answers(worker, extra) {
  const options = { handleStructuredLogs: () => {} };
  const workerd = new Miniflare(
    miniflareOptions([{ name: 'snapshot', ...worker }], options, extra),
  );
  try {
    await workerd.dispatchFetch('http://snapshot/');
    return true;
  } catch (error) {
    if (error.code !== 'ERR_RUNTIME_FAILURE') throw error;
    return false;
  } finally {
    await workerd.dispose();
  }
}

// Imports of the packages with compiled modules. They go first: when a snapshot is loaded, workerd loads
// compiled modules before anything else, and each has to get its old place in the table of functions,
// in which others, such as ctypes, take places, too.
function compiled(modules) {
  const libraries = modules.filter(({ path: name }) => name.endsWith('.so'));
  const packages = libraries.map(({ path: name }) => name.split('/')[2].split('.')[0]);
  return packages.map((name) => `import ${name}`);
}

function snapshotWorker(statements) {
  return `
from contextlib import suppress

from workers import Response, WorkerEntrypoint

try:  # Hypothesis seeds a generator while it is imported; whoever uses it seeds it anew
    from _cloudflare.allow_entropy import ALLOWED_ENTROPY_CALLS
    ALLOWED_ENTROPY_CALLS[0] = 100
except ImportError:
    ALLOWED_ENTROPY_CALLS = [0]

for statement in ${JSON.stringify(statements)}:
    with suppress(Exception):
        exec(statement, {})
ALLOWED_ENTROPY_CALLS[0] = 0


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("")
`;
}
