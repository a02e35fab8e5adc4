// The Worker's bindings from wrangler's own local runtime: a real SQLite behind D1, and so on.
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { getPlatformProxy, unstable_readConfig, unstable_splitSqlQuery } from 'wrangler';

const CONFIG = 'wrangler.toml';

// By their tables in wrangler.toml. A binding of another kind needs its line here, and in METHODS.
const KINDS = {
  d1_databases: 'D1Database',
  analytics_engine_datasets: 'AnalyticsEngineDataset',
  r2_buckets: 'R2Bucket',
  ratelimits: 'Ratelimit',
  kv_namespaces: 'KvNamespace',
  queues: 'WorkerQueue',
};

// The methods of each kind of object, and the kind of what they return where that is such an object;
// or what to do in place of the method.
const METHODS = {
  D1Database: { prepare: 'D1PreparedStatement', batch: null, exec: null },
  D1PreparedStatement: {
    bind: 'D1PreparedStatement',
    first: null,
    run: null,
    all: null,
    raw: null,
  },
  AnalyticsEngineDataset: { writeDataPoint: null },
  WorkerQueue: { send: null },
  R2Bucket: {
    // Streams do not pass to wrangler's process; to R2 itself they do.
    put: async (bucket, key, value, options) =>
      stored(await bucket.put(key, await new Response(value).arrayBuffer(), options)),
    head: async (bucket, ...args) => stored(await bucket.head(...args)),
    get: async (bucket, ...args) => stored(await bucket.get(...args)),
    delete: null,
    list: async (bucket, ...args) => {
      const { objects, ...page } = await bucket.list(...args);
      return { ...page, objects: objects.map(stored) };
    },
  },
  Ratelimit: { limit: null },
  KvNamespace: { get: null, put: null, delete: null },
};

/** wrangler.toml as wrangler reads it: its top level, or the environment called `env`. */
export function readConfig(env) {
  return unstable_readConfig({ config: CONFIG, env }, { hideWarnings: true });
}

/** The names of the environments in wrangler.toml; undefined stands for its top level. */
export function environments() {
  return [undefined, ...(readConfig().definedEnvironments ?? [])];
}

/**
 * Opens the bindings of wrangler.toml, migrations applied.
 *
 * `persist` is where their data lives: true for wrangler's own .wrangler/state, false for nowhere.
 * Returns `{ bindings, close }`; nothing of .dev.vars or [vars] is among the bindings.
 */
export async function openBindings({ persist = false } = {}) {
  const config = readConfig();
  process.env.WRANGLER_LOG ??= 'error'; // it warns of secrets, which nobody looks for here
  const options = { configPath: CONFIG, persist, remoteBindings: false, envFiles: [] };
  const proxy = await withoutWarning(() => getPlatformProxy(options));
  const bindings = {};
  for (const [table, kind] of Object.entries(KINDS)) {
    const entries = config[table]?.producers ?? config[table] ?? [];
    for (const { name, binding = name } of entries)
      bindings[binding] = local(proxy.env[binding], kind);
  }
  for (const { binding, migrations_dir } of config.d1_databases) {
    await migrate(proxy.env[binding], migrations_dir);
  }
  const close = () => proxy.dispose();
  if (config.durable_objects.bindings.length === 0) return { bindings, close };
  const { openObjects } = await import('./objects.mjs');
  const objects = await openObjects(config, persist);
  Object.assign(bindings, objects.namespaces);
  return { bindings, close: () => Promise.all([close(), objects.close()]) };
}

// workerd warns of Durable Objects that are not where it looks: they live in objects.mjs.
async function withoutWarning(open) {
  const { write } = process.stderr;
  process.stderr.write = function (text, ...rest) {
    return /no such Durable Object class/.test(text) || write.call(this, text, ...rest);
  };
  try {
    return await open();
  } finally {
    process.stderr.write = write;
  }
}

// As `wrangler d1 migrations apply` does it, in the same table, without starting another wrangler.
async function migrate(database, folder) {
  await database
    .prepare(
      'CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, ' +
        'name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)',
    )
    .run();
  const { results } = await database.prepare('SELECT name FROM d1_migrations').all();
  const applied = new Set(results.map(({ name }) => name));
  const files = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  for (const name of files.filter((file) => !applied.has(file))) {
    const statements = unstable_splitSqlQuery(await readFile(path.join(folder, name), 'utf8'));
    await database.batch([
      ...statements.map((statement) => database.prepare(statement)),
      database.prepare('INSERT INTO d1_migrations (name) VALUES (?)').bind(name),
    ]);
  }
}

const stubs = new WeakMap(); // behind the objects that `local` made

/**
 * Puts a plain object in front of one of wrangler's proxies.
 *
 * Those hide their constructor's name, by which workers-runtime-sdk tells bindings apart; and each
 * look at a property of theirs waits for another process, which Pyodide does twenty times an object.
 */
function local(stub, kind) {
  const object = Object.create({ constructor: { name: kind } });
  for (const [method, returned] of Object.entries(METHODS[kind])) {
    object[method] = (...args) => {
      if (typeof returned === 'function') return returned(stub, ...args);
      const value = stub[method](...args.map(stubOf));
      return returned ? local(value, returned) : value;
    };
  }
  stubs.set(object, stub);
  return object;
}

// An object of R2, with its constructor's name and without what wrangler's proxy puts around it.
function stored(object) {
  if (!object) return object;
  const { body } = object; // a getter
  return Object.assign(Object.create({ constructor: { name: 'R2Object' } }), object, { body });
}

function stubOf(value) {
  return Array.isArray(value) ? value.map(stubOf) : (stubs.get(value) ?? value);
}
