// The Python that workerd runs: npm's Pyodide, packed the way workerd loads its own "development" bundle.
//
// Cloudflare's released bundles are downloaded at each start, and checked against a hash inside workerd;
// the development bundle is read from a folder. Layout and patches follow workerd's src/workerd/jsg/modules.capnp
// and src/pyodide/helpers.bzl. They are private to workerd: package.json pins workerd (through wrangler) and
// pyodide together, and pyodide needs to be the version that workerd looks for.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const NAME = 'pyodide_dev.capnp.bin';
const NO_EVAL = "(() => {throw new Error('eval is not allowed in a Worker')})()";

// Emscripten's glue calls these; workerd hands it its own.
const PATCHES = [
  ['new WebAssembly.Module', 'newWasmModule'],
  ['WebAssembly.instantiate', 'wasmInstantiate'],
  ['Date.now', 'monotonicDateNow'],
  ['crypto.getRandomValues(', 'getRandomValues(Module, '],
  ['eval(func)', NO_EVAL],
  ['eval(data)', NO_EVAL],
  ['eval(UTF8ToString(ptr))', NO_EVAL],
  [
    'function loadLibData(){',
    `function loadLibData(){
       const data = patchedLoadLibData(Module, libName, flags.rpath);
       return flags.loadAsync ? Promise.resolve(data) : data;
     }
     function originalLoadLibData(){`,
  ],
  ['getMemory(', 'Module.getMemoryPatched(Module, libName, '],
  [
    'export default _createPyodideModule;',
    'export default _createPyodideModule; export { _createPyodideModule };',
  ],
];
const IMPORTS = `import { addEventListener, getRandomValues, location, monotonicDateNow, newWasmModule,
  patchedLoadLibData, wasmInstantiate } from "pyodide-internal:builtin_wrappers";
`;

/**
 * The folder with the bundle of npm's pyodide, made below `cache` unless it is there. Throws when the
 * package is not laid out as expected.
 */
export function bundle(cache) {
  const made = path.join(cache, `pyodide-${packageVersion('pyodide')}`);
  if (!existsSync(path.join(made, NAME))) makeBundle(packageFolder('pyodide'), made);
  return made;
}

/** Writes the bundle of the pyodide package in `folder` to the folder `out`. */
export function makeBundle(folder, out) {
  const read = (name) => readFileSync(path.join(folder, name));
  const internal = 'pyodideRuntime-internal:';
  const message = encode([
    [`${internal}pyodide.asm`, SOURCE, Buffer.from(patched(read('pyodide.asm.mjs').toString()))],
    [`${internal}pyodide.asm.wasm`, WASM, read('pyodide.asm.wasm')],
    [`${internal}python_stdlib.zip`, DATA, read('python_stdlib.zip')],
  ]);
  mkdirSync(out, { recursive: true });
  const scratch = path.join(out, `${NAME}-${process.pid}`);
  writeFileSync(scratch, message);
  renameSync(scratch, path.join(out, NAME));
}

/** The version of an npm package that this project, or wrangler, depends on. */
export function packageVersion(name) {
  return JSON.parse(readFileSync(path.join(packageFolder(name), 'package.json'), 'utf8')).version;
}

/** The folder of an npm package that this project, or wrangler, depends on. */
export function packageFolder(name) {
  return path.dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
}

function patched(glue) {
  for (const [original, replacement] of PATCHES) {
    if (!glue.includes(original)) {
      throw new Error(
        `pyodide.asm.mjs has no ${original}: install the pyodide that package.json pins`,
      );
    }
    glue = glue.replaceAll(original, replacement);
  }
  return IMPORTS + glue;
}

// struct Bundle { modules @0 :List(Module) }
// struct Module { name @0 :Text; union { src @1; wasm @4; data @5; json @6 }; tsDeclaration @3; type @2; ... }
const [SOURCE, WASM, DATA] = [0, 1, 2]; // the union's tags
const INTERNAL = 2; // of the enum of `type`
const [DATA_WORDS, POINTERS] = [1, 4];
const MODULE_WORDS = DATA_WORDS + POINTERS;
const [BYTE_LIST, COMPOSITE_LIST] = [2, 7];

// A Cap'n Proto message of one segment: https://capnproto.org/encoding.html
function encode(modules) {
  const first = 3; // after the root's pointer, the Bundle's pointer and the list's tag
  let end = first + modules.length * MODULE_WORDS;
  const place = (bytes) => {
    const at = end;
    end += Math.ceil(bytes / 8);
    return at;
  };
  const placed = modules.map(([name, tag, content]) => {
    const text = Buffer.from(`${name}\0`);
    return { tag, text, textAt: place(text.length), content, contentAt: place(content.length) };
  });
  const message = Buffer.alloc(8 + end * 8);
  message.writeUInt32LE(end, 4); // after the number of segments, less one
  const byte = (word) => 8 + word * 8;
  const list = (at, to, kind, count) => {
    message.writeInt32LE(((to - at - 1) << 2) | 1, byte(at));
    message.writeUInt32LE(((count << 3) | kind) >>> 0, byte(at) + 4);
  };
  message.writeUInt16LE(1, byte(0) + 6); // the root: no data, one pointer
  list(1, 2, COMPOSITE_LIST, modules.length * MODULE_WORDS);
  message.writeInt32LE(modules.length << 2, byte(2));
  message.writeUInt16LE(DATA_WORDS, byte(2) + 4);
  message.writeUInt16LE(POINTERS, byte(2) + 6);
  placed.forEach(({ tag, text, textAt, content, contentAt }, i) => {
    const at = first + i * MODULE_WORDS;
    message.writeUInt16LE(INTERNAL, byte(at));
    message.writeUInt16LE(tag, byte(at) + 2);
    list(at + 1, textAt, BYTE_LIST, text.length);
    text.copy(message, byte(textAt));
    list(at + 2, contentAt, BYTE_LIST, content.length);
    content.copy(message, byte(contentAt));
  });
  return message;
}
