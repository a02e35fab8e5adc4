// The Worker's Durable Objects on this machine: their Python runs here, in Pyodide; what they store
// goes to a real Durable Object of workerd's, through a few lines of JavaScript inside it.
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { runFile } from './python.mjs';

const STATE = path.resolve('.wrangler/state/objects');

// What passes between processes is text: wrangler's proxies would be in the way of anything else.
const STORE = `
  import { DurableObject } from 'cloudflare:workers';
  class Store extends DurableObject {
    async get(key) { return JSON.stringify(await this.ctx.storage.get(key)); }
    async put(key, text) { await this.ctx.storage.put(key, JSON.parse(text)); }
  }
  export default {};
`;

/**
 * Opens the storage of the Durable Objects that `config` binds; `persist` as in `openBindings`.
 *
 * Returns `{ namespaces, close }`; whoever uses a namespace says first where its objects live.
 */
export async function openObjects(config, persist) {
  const { Miniflare, convertV4MiniflareOptions } = await miniflare();
  const { bindings } = config.durable_objects;
  const classes = new Set(bindings.map(({ class_name }) => class_name));
  const store = ({ name, class_name }) => [name, { className: class_name, useSQLite: true }];
  const server = new Miniflare(
    convertV4MiniflareOptions({
      modules: true,
      script: STORE + [...classes].map((name) => `export class ${name} extends Store {}`).join(';'),
      compatibilityDate: config.compatibility_date,
      durableObjects: Object.fromEntries(bindings.map(store)),
      resourcePersistencePath: persist ? STATE : undefined,
    }),
  );
  const open = async ({ name, class_name }) => {
    const stores = await server.getDurableObjectNamespace(name);
    return [name, new DurableObjectNamespace(class_name, stores)];
  };
  const namespaces = Object.fromEntries(await Promise.all(bindings.map(open)));
  return { namespaces, close: () => server.dispose() };
}

// Wrangler has it on board, in the version that goes with it.
async function miniflare() {
  const require = createRequire(import.meta.resolve('wrangler'));
  return import(pathToFileURL(require.resolve('miniflare')));
}

// workers-runtime-sdk knows these classes by their names.
class DurableObjectNamespace {
  #class;
  #stores;
  #objects = new Map();
  #create;

  constructor(className, stores) {
    this.#class = className;
    this.#stores = stores;
  }

  /** Has the objects live in this Python, whose modules find `entry`. */
  host(python) {
    this.#create = runFile(python, 'host_object.py');
    this.#objects.clear();
  }

  getByName(name) {
    if (!this.#objects.has(name)) {
      const store = this.#stores.get(this.#stores.idFromName(name));
      const ctx = { storage: new DurableObjectStorage(store) };
      this.#objects.set(name, stub(this.#create(this.#class, ctx)));
    }
    return this.#objects.get(name);
  }
}

class DurableObjectStorage {
  #store;

  constructor(store) {
    this.#store = store;
  }

  async get(key) {
    const text = await this.#store.get(key);
    return text === undefined ? undefined : JSON.parse(text);
  }

  put(key, value) {
    return this.#store.put(key, JSON.stringify(value));
  }
}

// Calls an object's methods one after the other. Workers let others in where an object waits for
// something else than its storage; ours never does.
function stub(call) {
  let last = Promise.resolve();
  const method = (name) => (...args) => {
    const result = last.then(() => call.callPromising(name, args));
    last = result.catch(() => {});
    return result;
  };
  const known = { constructor: { name: 'DurableObject' }, then: undefined };
  const get = (_, name) => (name in known || typeof name === 'symbol' ? known[name] : method(name));
  return new Proxy({}, { get });
}
