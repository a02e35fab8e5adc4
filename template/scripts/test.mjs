// npm test: the project's tests inside workerd, beside the Worker over HTTP and the stand-ins.
import { existsSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { packageVersion } from './bundle.mjs';
import { TEST_PACKAGES } from './home.mjs';
import { pythonError } from './log.mjs';
import { vendor } from './requirements.mjs';
import { hasStandins, localVars, startStandins } from './standins.mjs';
import { order, PLACE, Tester, testerOptions, Testers } from './testers.mjs';
import { PYTHON, runUv } from './uv.mjs';
import { changes } from './watch.mjs';
import { makeSnapshot, snapshotOf, startError, startWorkerd } from './workerd.mjs';
import {
  files,
  importsOf,
  localConfig,
  migrateAll,
  moduleFrom,
  ownModules,
  sourceFolder,
  vendoredModules,
  workerOptions,
} from './wrangler.mjs';

const SCRIPTS = import.meta.dirname;
const ROOT = '/session/metadata/project'; // where workerd shows the project's files
const MOST_WORKERS = 4;
const LARGEST_FILE = 8 * 2 ** 20;
const LOG_LINES = 20;
const PRELOADED = ['pytest_worker', 'hypothesis', 'coverage', 'sqlite3'];

/**
 * Runs the tests with pytest's `args`. Resolves to pytest's exit code; with `coverage` also to 1 when
 * they run less of the source than pyproject.toml asks for.
 *
 * With --watch among `args` it runs them again after each change, until Ctrl-C.
 */
export async function test(args, { coverage = false } = {}) {
  await vendor();
  const options = args.filter((arg) => arg !== '--watch');
  const bench = await openBench(coverage);
  try {
    if (options.length < args.length) await runAtEachChange(bench, options);
    const code = await bench.run(options);
    return coverage && code === 0 ? await report(await bench.measurements()) : code;
  } finally {
    await bench.close();
  }
}

async function runAtEachChange(bench, args) {
  const run = async (only) => {
    await bench.run([...args, ...only]);
    console.log('\nwaiting for a change; Ctrl-C ends it');
  };
  const changing = changes();
  await run([]);
  for await (const changed of changing) {
    console.log(`${changed.join(', ')} changed`);
    const tests = changed.filter(
      (file) => /(?:^|\/)test_[^/]*\.py$/.test(file) && existsSync(file),
    );
    await bench.renew();
    await run(tests.length === changed.length ? tests : []);
  }
}

// What tests need: Workers that run them, the Worker over HTTP, stand-ins.
async function openBench(coverage) {
  const log = [];
  const keep = (line) => log.splice(0, log.push(line) - LOG_LINES);
  const standins = hasStandins() ? (await startStandins()).url : undefined;
  let project = await readProject();
  let served = serve(project, { standins, coverage, log: keep });
  const testers = new Testers(async () => {
    const { env } = await served;
    return Tester.start(project, { starting: { ...starting(project, coverage), env }, log: keep });
  });
  const address = await testers.open();

  return {
    async run(args) {
      const code = await runPytest(address, args);
      if (code === 1 && log.length) console.error(`\nthe Workers' last words:\n${log.join('\n')}`);
      log.length = 0;
      return code;
    },
    // From the files as they are now.
    async renew() {
      project = await readProject();
      await (await served).close();
      served = serve(project, { standins, coverage, log: keep });
      await testers.renew();
    },
    async measurements() {
      const places = [...(await testers.idle()), ...(await served).places];
      return Promise.all(places.map(({ url }) => order(url, { order: 'measurement' })));
    },
    async close() {
      await Promise.all([testers.close(), (await served).close()]);
    },
  };
}

function runPytest(address, args) {
  const workers = Math.min(os.availableParallelism(), MOST_WORKERS);
  const env = {
    WORKERD_TESTS: `${address}#${workers}`,
    WORKERD_VERSION: `workerd ${packageVersion('workerd')}, Pyodide ${packageVersion('pyodide')}`,
    PYTHONPATH: [SCRIPTS, process.env.PYTHONPATH].filter(Boolean).join(path.delimiter),
  };
  const pytest = [...PYTHON, '-m', 'pytest', '-p', 'pytest_workerd', '--noconftest', ...args];
  return runUv(pytest, { stdin: 'inherit', env });
}

// The project for workerd: as a Worker that is served, and as one that runs its tests.
async function readProject() {
  const { config } = localConfig();
  const packages = vendoredModules(config);
  const testPackages = vendoredModules({ python_modules: { exclude: [] } }, TEST_PACKAGES);
  const worker = moduleFrom(path.join(SCRIPTS, 'pytest_worker.py'), '/pytest_worker.py');
  const own = files('.')
    .filter((name) => statSync(name).size <= LARGEST_FILE)
    .map((name) => moduleFrom(name, `/project/${name}`));
  const shared = unique([worker, ...packages, ...testPackages]);
  const snapshot = await makeSnapshot({
    ...testerOptions(config),
    modules: shared,
    imports: [...PRELOADED, ...importsOf(own, shared)],
  });
  const modules = [testsMain(config), ...own, ...shared];
  return { config, packages, snapshot, modules };
}

// The classes that wrangler.toml binds are looked for in the main module.
function testsMain(config) {
  const classes = [
    ...config.durable_objects.bindings.map(({ class_name }) => [class_name, 'durable_object']),
    ...config.workflows.map(({ class_name }) => [class_name, 'workflow']),
  ];
  const lines = [
    'import pytest_worker',
    'from pytest_worker import Default',
    `pytest_worker.ENTRY = "${path.basename(config.main, '.py')}"`,
    ...classes.map(([name, kind]) => `${name} = pytest_worker.${kind}("${name}")`),
  ];
  return { type: 'PythonModule', path: '/tests_main.py', contents: `${lines.join('\n')}\n` };
}

function starting(project, coverage) {
  const source = sourceFolder(project.config);
  const paths = [path.posix.join(ROOT, source), ROOT];
  return { paths, measured: coverage ? source : null };
}

// The Worker over HTTP. Where there are stand-ins: once as set up for them, once with no variable set.
async function serve(project, { standins, coverage, log }) {
  const { config } = project;
  const vars = standins ? localVars(standins) : undefined;
  const socket = { unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }] };
  const modules = coverage ? project.modules : [...ownModules(config), ...project.packages];
  const configured = { ...workerOptions(config, vars), ...socket, modules };
  const { queueConsumers, cronTriggers, ...rest } = configured; // of which a queue takes one
  const unconfigured = { ...rest, name: 'unconfigured', bindings: {} };
  const workers = standins ? [configured, unconfigured] : [configured];
  const workerd = startWorkerd(workers, {
    snapshot: coverage ? project.snapshot : await snapshotOf(config, project.packages),
    unsafeTriggerHandlers: true,
    handleStructuredLogs: ({ message }) => log(message),
  });
  const triggers = await workerd.ready.catch((error) => {
    throw new Error(pythonError(startError(error), sourceFolder(config)));
  });
  await migrateAll(workerd, config);
  const urls = await Promise.all(workers.map(({ name }) => workerd.unsafeGetDirectURL(name)));
  const places = urls.map((place) => ({ url: new URL(PLACE, place) }));
  const start = { order: 'start', ...starting(project, coverage), env: {}, examples: {} };
  if (coverage) await Promise.all(places.map((place) => order(place.url, start)));
  const plain = (place) => place.href.replace(/\/$/, '');
  const env = {
    WORKER_URL: plain(urls[0]),
    WORKER_TRIGGERS_URL: plain(triggers),
    ...(standins && { WORKER_URL_UNCONFIGURED: plain(urls[1]), STANDINS_URL: standins }),
  };
  return { env, places: coverage ? places : [], close: () => workerd.dispose() };
}

function unique(modules) {
  return [...new Map(modules.map((each) => [each.path, each])).values()];
}

// Of all that was measured, by the host's coverage.
function report(measurements) {
  const script = [...PYTHON, path.join(SCRIPTS, 'coverage_report.py')];
  return runUv(script, { input: JSON.stringify(measurements) });
}
