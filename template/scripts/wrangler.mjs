// The Worker in this folder as wrangler reads it: its configuration, and the modules it would upload.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import {
  unstable_getMiniflareWorkerOptions,
  unstable_readConfig,
  unstable_splitSqlQuery,
} from 'wrangler';
import { PACKAGES } from './home.mjs';

const VENDORED = 'python_modules'; // where workerd looks for packages
// Never part of a Worker, though they may be below its folder.
export const FOREIGN = /^(?:\.|__pycache__$|node_modules$|python_modules$)/;
const MODULE_TYPES = ['Text', 'Data', 'CompiledWasm', 'ESModule'];
const BINARY = ['Data', 'CompiledWasm'];
const LOCAL_DATABASE = 'CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING';
const DEFAULT_RULES = [
  { type: 'Text', globs: ['**/*.txt', '**/*.html', '**/*.sql'] },
  { type: 'Data', globs: ['**/*.bin'] },
  { type: 'CompiledWasm', globs: ['**/*.wasm'] },
];

/** The configuration's top level, or the environment called `env`. Throws where it cannot be read. */
export function readConfig(env) {
  try {
    return unstable_readConfig({ env }, { hideWarnings: true });
  } catch (error) {
    const { file, line } = error.location ?? {};
    if (line) error.message = `${path.relative('', file)}:${line}: ${error.message}`;
    throw error;
  }
}

/**
 * The configuration without the bindings that would keep workerd from starting: `{ config, missing }`.
 * `missing` has a sentence for each of those, and for each that fails when it is called.
 */
export function localConfig() {
  const config = readConfig();
  requireMain(config);
  const missing = [];
  const keep = (bindings, isHere, why) =>
    bindings.filter((binding) => {
      if (!isHere(binding)) missing.push(`${binding.binding ?? binding.name} ${why(binding)}`);
      return isHere(binding);
    });
  const worker = ({ service, script_name: name = service }) => name ?? config.name;
  const isOwnClass = (binding) => worker(binding) === config.name;
  const elsewhere = (binding) => `is left out: it leads to another Worker, ${worker(binding)}`;
  const isConnected = ({ binding, localConnectionString }) =>
    localConnectionString ?? process.env[`${LOCAL_DATABASE}_${binding}`];
  const unconnected = () => 'is left out: set its localConnectionString to a local database';
  const { ai, dispatch_namespaces: dispatch, vectorize } = config;
  const remote = [ai, ...vectorize, ...dispatch].filter((each) => each?.binding);
  keep(remote, () => false, () => 'fails when it is called: only Cloudflare has it'); // prettier-ignore
  const local = {
    ...config,
    services: keep(config.services ?? [], isOwnClass, elsewhere),
    workflows: keep(config.workflows, isOwnClass, elsewhere),
    durable_objects: { bindings: keep(config.durable_objects.bindings, isOwnClass, elsewhere) },
    hyperdrive: keep(config.hyperdrive, isConnected, unconnected),
  };
  return { config: local, missing };
}

function requireMain({ main, configPath }) {
  const file = path.relative('', configPath);
  const fix = 'name the main module of the Worker, such as src/entry.py';
  if (!main) throw new Error(`${file}: main is missing; ${fix}`);
  if (existsSync(main)) return;
  const lines = readFileSync(configPath, 'utf8').split('\n');
  const line = lines.findIndex((text) => /^[\s{]*["']?main["']?\s*[=:]/.test(text)) + 1;
  throw new Error(`${file}:${line}: main = "${path.relative('', main)}": no such file; ${fix}`);
}

/** The names of the environments; undefined stands for the top level. */
export function environments() {
  return [undefined, ...(readConfig().definedEnvironments ?? [])];
}

/** The folder below which the Worker's own modules are, as seen from here, with slashes. */
export function sourceFolder(config) {
  const folder = config.base_dir ?? path.dirname(config.main);
  return path.relative('', folder).replaceAll(path.sep, '/') || '.';
}

/**
 * The Worker for Miniflare, without its modules: bindings, triggers, flags. `vars` are set over those of
 * the configuration; without them .dev.vars and .env are.
 */
export function workerOptions(config, vars) {
  const envFiles = vars && [];
  const options = withoutWarnings(() =>
    unstable_getMiniflareWorkerOptions(config, undefined, { envFiles }),
  );
  const { modulesRules, ...worker } = options.workerOptions;
  return { ...worker, name: config.name, bindings: { ...worker.bindings, ...vars } };
}

// It warns of missing secrets, which stand-ins need not be told.
function withoutWarnings(read) {
  const { warn, log } = console;
  Object.assign(console, { warn() {}, log() {} });
  try {
    return read();
  } finally {
    Object.assign(console, { warn, log });
  }
}

/** The Worker's own modules, main first. */
export function ownModules(config) {
  const root = sourceFolder(config);
  const main = path.relative(root, config.main).replaceAll(path.sep, '/');
  const rules = [...config.rules, ...DEFAULT_RULES];
  const matching = rules.map(({ type, globs }) => [type, matcher(globs)]);
  const ruled = (name) => matching.find(([, matches]) => matches(name))?.[0];
  const typeOf = (name) =>
    name.endsWith('.py') ? 'PythonModule' : MODULE_TYPES.find((type) => type === ruled(name));
  const modules = files(root)
    .filter(typeOf)
    .map((name) => moduleFrom(path.join(root, name), `/${name}`, typeOf(name)));
  return modules.sort((a, b) => (b.path === `/${main}`) - (a.path === `/${main}`));
}

/** The packages in `folders`, as modules, less what the configuration excludes from the upload. */
export function vendoredModules(config, folders = PACKAGES) {
  return folders.flatMap((folder) => packagesIn(folder, config.python_modules.exclude));
}

function packagesIn(folder, exclude) {
  const isExcluded = matcher(exclude);
  return files(folder)
    .filter((name) => !isExcluded(name))
    .map((name) => {
      // What the SDK brings of JavaScript is imported as such.
      const type = /^workers\/.*\.m?js$/.test(name) ? 'ESModule' : 'Data';
      return moduleFrom(path.join(folder, name), `/${VENDORED}/${name}`, type);
    });
}

/**
 * Says of a file's name whether one of `globs` matches it, as wrangler reads them: ** stands for any
 * folders, * stays inside one.
 */
export function matcher(globs) {
  const patterns = globs.map(expression);
  return (name) => patterns.some((pattern) => pattern.test(name));
}

function expression(glob) {
  const parts = { '**/': '(?:.*/)?', '**': '.*', '*': '[^/]*' };
  const source = glob.replace(
    /\*\*\/|\*\*|\*|[.+?^${}()|[\]\\]/g,
    (found) => parts[found] ?? `\\${found}`,
  );
  return new RegExp(`^${source}$`);
}

/** The vendored Python modules that `modules` import, and the names that they import from those. */
export function importsOf(modules, vendored) {
  const known = new Set(vendored.map(pythonName));
  const statement = /^(?:from +([\w.]+) +)?import +(\([^)]*\)|[^\n#]*)/gm;
  const names = modules
    .filter(({ type }) => type === 'PythonModule')
    .flatMap(({ contents }) => [...contents.matchAll(statement)])
    .flatMap(([, from, list]) => {
      const imported = [...list.matchAll(/([\w.]+)(?: +as +\w+)?/g)].map(([, name]) => name);
      return from ? [from, ...imported.map((name) => `${from}.${name}`)] : imported;
    });
  const isKnown = (name) => known.has(name) || known.has(name.replace(/\.\w+$/, ''));
  return [...new Set(names)].filter(isKnown).sort();
}

function pythonName({ path: file }) {
  const name = file.replace(`/${VENDORED}/`, '/').slice(1);
  return name.replace(/(?:\/__init__)?\.py$/, '').replaceAll('/', '.');
}

/** The names of the files below `folder` that may belong to a project, with slashes. */
export function files(folder, prefix = '') {
  if (!existsSync(folder) || existsSync(path.join(folder, 'pyvenv.cfg'))) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => !FOREIGN.test(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const place = path.join(folder, entry.name);
      if (entry.isDirectory()) return files(place, `${prefix}${entry.name}/`);
      return entry.isFile() ? [prefix + entry.name] : [];
    });
}

/** A file as a module for workerd. */
export function moduleFrom(file, name, type = file.endsWith('.py') ? 'PythonModule' : 'Data') {
  const contents = readFileSync(file);
  return { type, path: name, contents: BINARY.includes(type) ? contents : contents.toString() };
}

/** Applies the migrations that the databases of `workerd` do not have, as wrangler does. */
export async function migrateAll(workerd, config) {
  for (const { binding, migrations_dir } of config.d1_databases) {
    await migrate(await workerd.getD1Database(binding), migrations_dir);
  }
}

async function migrate(database, folder = 'migrations') {
  await database
    .prepare(
      'CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, ' +
        'name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)',
    )
    .run();
  const { results } = await database.prepare('SELECT name FROM d1_migrations').all();
  const applied = new Set(results.map(({ name }) => name));
  const scripts = files(folder).filter((name) => name.endsWith('.sql') && !applied.has(name));
  for (const name of scripts) {
    const statements = unstable_splitSqlQuery(readFileSync(path.join(folder, name), 'utf8'));
    await database.batch([
      ...statements.map((statement) => database.prepare(statement)),
      database.prepare('INSERT INTO d1_migrations (name) VALUES (?)').bind(name),
    ]);
  }
}
