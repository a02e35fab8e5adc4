// Python Workers on workerd, on this machine: Miniflare, told to start workerd with the bundle of bundle.mjs.
import childProcess from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { bundle } from './bundle.mjs';
import { HOME } from './home.mjs';
import { killWithThisProcess } from './processes.mjs';
import { importsOf, ownModules } from './wrangler.mjs';

const CACHE = path.join(HOME, '.cache/workerd');
const ARGUMENTS = 'WORKERD_ARGUMENTS';
const SNAPSHOT = 'snapshot.bin';
const COMPILED = /\.cpython-.*\.so$|(?:\.abi3)?\.so$/;
/** The code of Miniflare's error for a Worker that could not start. */
export const STOPPED = 'ERR_RUNTIME_FAILURE';
const UNUSED_MS = 3 * 24 * 60 * 60 * 1000;

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
const { spawn, spawnSync } = childProcess;
childProcess.spawn = (command, args, options) => {
  const own = JSON.parse(options?.env?.[ARGUMENTS] ?? '[]');
  if (own.length === 0) return spawn(command, args, options);
  const workerd = spawn(command, [args[0], ...own, ...args.slice(1)], options);
  killWithThisProcess(workerd);
  return workerd;
};

// Wrangler has it on board, in the version that goes with it.
const require = createRequire(createRequire(import.meta.url).resolve('wrangler'));
const { Miniflare, convertV4MiniflareOptions, NoOpLog } = withWorkerd(() => require('miniflare'));

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

// Throws where workerd cannot run: it has binaries for some platforms, each for a newer system than some have.
function withWorkerd(load) {
  let reason;
  try {
    const { status, error, stderr } = spawnSync(require('workerd').default, ['--version']);
    if (status === 0) return load();
    reason = error?.message ?? stderr.toString().trim();
  } catch (error) {
    reason = error.message;
  }
  throw new Error(
    `workerd does not run on this machine: ${reason}\nUse \`npm run dev -- --remote\`, which runs ` +
      'the Worker at Cloudflare, or a container with a newer system.',
  );
}

/** Why a Worker could not start: of the lines that workerd logged, which Miniflare has, the first. */
export function startError({ code, message }) {
  const line = message.split('\n').find((each) => each.startsWith('{'));
  return code === STOPPED && line ? JSON.parse(line).message : message;
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
 * Makes a snapshot of a Python that has the packages of `modules` loaded, by importing each of
 * `imports`: modules, and what is in them. Workers of these packages start from it several times
 * faster, whatever else they consist of, where their date and flags are the same.
 *
 * Resolves to its folder; it is made once. Resolves to undefined where these packages do not bear it.
 */
export async function makeSnapshot({ modules, imports, compatibilityDate, compatibilityFlags }) {
  const first = [...new Set([...compiled(modules), ...imports])];
  const main = { type: 'PythonModule', path: '/snapshot.py', contents: snapshotWorker(first) };
  const key = createHash('sha256').update(bundle(CACHE)).update(compatibilityDate);
  for (const text of [...compatibilityFlags, ...FLAGS, main.contents]) key.update(`${text}\n`);
  for (const { path: name, contents } of modules) key.update(`${name}\n`).update(contents);
  const folder = path.join(CACHE, `snapshot-${key.digest('hex').slice(0, 16)}`);
  if (!existsSync(folder)) {
    console.error('making a snapshot of the packages, once ...');
    const scratch = `${folder}-${process.pid}`;
    mkdirSync(scratch, { recursive: true });
    const worker = { modules: [main, ...modules], compatibilityDate, compatibilityFlags };
    if (!(await starts(worker, saving(scratch))) || !(await starts(worker, loading(scratch)))) {
      rmSync(path.join(scratch, SNAPSHOT), { force: true });
      console.error('these packages cannot be kept in a snapshot: each start loads them anew');
    }
    removeUnused();
    if (existsSync(folder))
      rmSync(scratch, { recursive: true }); // another process was faster
    else renameSync(scratch, folder);
  }
  utimesSync(folder, new Date(), new Date());
  return existsSync(path.join(folder, SNAPSHOT)) ? folder : undefined;
}

async function starts(worker, extra) {
  const options = { handleStructuredLogs: () => {} };
  const workerd = new Miniflare(miniflareOptions([worker], options, extra));
  try {
    await workerd.ready;
    return true;
  } catch (error) {
    if (error.code !== STOPPED) throw error;
    return false;
  } finally {
    await workerd.dispose();
  }
}

// The compiled modules. They are imported first: when a snapshot is loaded, workerd loads them before
// anything else, and each has to get its old place in the table of functions, where others, such as
// ctypes, take places, too.
function compiled(modules) {
  return modules
    .filter(({ path: name }) => name.endsWith('.so'))
    .map(({ path: name }) => name.split('/').slice(2).join('.').replace(COMPILED, ''));
}

function removeUnused() {
  for (const name of readdirSync(CACHE)) {
    const folder = path.join(CACHE, name);
    const age = Date.now() - statSync(folder).mtimeMs;
    if (name.startsWith('snapshot-') && age > UNUSED_MS) rmSync(folder, { recursive: true });
  }
}

function snapshotWorker(imports) {
  return `
from contextlib import suppress
from pkgutil import resolve_name

from workers import Response, WorkerEntrypoint

try:  # Hypothesis seeds a generator while it is imported; whoever uses it seeds it anew
    from _cloudflare.allow_entropy import ALLOWED_ENTROPY_CALLS
    ALLOWED_ENTROPY_CALLS[0] = 100
except ImportError:
    ALLOWED_ENTROPY_CALLS = [0]

for name in ${JSON.stringify(imports)}:
    with suppress(Exception):
        resolve_name(name)
ALLOWED_ENTROPY_CALLS[0] = 0

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("")
`;
}
