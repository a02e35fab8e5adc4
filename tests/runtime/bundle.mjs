// Makes workerd's "development" Pyodide bundle from npm's pyodide.
//
// workerd 1.20261117.1 takes from its bundle cache folder, for the compatibility flag
// python_workers_development, a file pyodide_dev.capnp.bin, whose checksum it does not know. It is a
// capnp message of workerd's jsg.Bundle: three internal modules.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const NO_EVAL = "(() => {throw new Error('eval is not allowed in a Worker')})()";

// As src/pyodide/helpers.bzl patches Emscripten's glue, less what the 2026-11 binary no longer has.
// [what, by what, how often at least]
const PATCHES = [
  ['new WebAssembly.Module', 'newWasmModule', 1],
  ['WebAssembly.instantiate', 'wasmInstantiate', 1],
  ['Date.now', 'monotonicDateNow', 1],
  ['crypto.getRandomValues(', 'getRandomValues(Module, ', 1],
  ['eval(func)', NO_EVAL, 1],
  ['eval(data)', NO_EVAL, 1],
  ['eval(UTF8ToString(ptr))', NO_EVAL, 1],
  [
    'function loadLibData(){',
    `function loadLibData(){
       var libData = patchedLoadLibData(Module, libName, flags.rpath);
       return flags.loadAsync ? Promise.resolve(libData) : libData;
     }
     function dummiedOutOrigLoadLibData(){`,
    1,
  ],
  ['getMemory(', 'Module.getMemoryPatched(Module, libName, ', 1],
  [
    'export default _createPyodideModule;',
    'export default _createPyodideModule; export { _createPyodideModule };',
    1,
  ],
];
const PRELUDE = `import { addEventListener, getRandomValues, location, monotonicDateNow, newWasmModule,
  patchedLoadLibData, wasmInstantiate } from "pyodide-internal:builtin_wrappers";
`;

/** Emscripten's glue as the runtime wants it. */
export function patchGlue(source) {
  for (const [what, by, atLeast] of PATCHES) {
    const parts = source.split(what);
    if (parts.length - 1 < atLeast) throw new Error(`pyodide.asm.mjs: no ${what}`);
    source = parts.join(by);
  }
  return PRELUDE + source;
}

// struct Module { name @0 :Text; union { src @1; wasm @4; data @5; json @6 }; tsDeclaration @3;
//                 type @2; compileCache @7 }: one word of data (type, union's tag), four pointers.
const UNION = { src: 0, wasm: 1, data: 2, json: 3 };
const INTERNAL = 2;
const WORDS = 5;

/** A capnp message of one segment: Bundle { modules @0 :List(Module) }. */
export function encode(modules) {
  const words = (bytes) => Math.ceil(bytes / 8);
  let size = 1 + 1 + 1 + modules.length * WORDS; // root pointer, Bundle's pointer, list's tag
  const places = modules.map(({ name, bytes }) => {
    const nameAt = size;
    size += words(Buffer.byteLength(name) + 1);
    const bytesAt = size;
    size += words(bytes.length);
    return { nameAt, bytesAt };
  });
  const message = Buffer.alloc(8 + size * 8);
  message.writeUInt32LE(0, 0); // one segment
  message.writeUInt32LE(size, 4);
  const word = (at) => 8 + at * 8;
  const struct = (at, to, data, pointers) => {
    message.writeInt32LE(((to - at - 1) << 2) | 0, word(at));
    message.writeUInt16LE(data, word(at) + 4);
    message.writeUInt16LE(pointers, word(at) + 6);
  };
  const list = (at, to, elementSize, count) => {
    message.writeInt32LE(((to - at - 1) << 2) | 1, word(at));
    message.writeUInt32LE(((count << 3) | elementSize) >>> 0, word(at) + 4);
  };
  struct(0, 1, 0, 1);
  list(1, 2, 7, modules.length * WORDS);
  message.writeInt32LE(modules.length << 2, word(2)); // the tag counts elements
  message.writeUInt16LE(1, word(2) + 4);
  message.writeUInt16LE(4, word(2) + 6);
  modules.forEach(({ name, kind, bytes }, i) => {
    const at = 3 + i * WORDS;
    const { nameAt, bytesAt } = places[i];
    message.writeUInt16LE(INTERNAL, word(at));
    message.writeUInt16LE(UNION[kind], word(at) + 2);
    list(at + 1, nameAt, 2, Buffer.byteLength(name) + 1);
    message.write(name, word(nameAt));
    list(at + 2, bytesAt, 2, bytes.length);
    bytes.copy(message, word(bytesAt));
  });
  return message;
}

export function makeBundle(pyodide, out) {
  const read = (name) => readFileSync(join(pyodide, name));
  const glue = Buffer.from(patchGlue(read('pyodide.asm.mjs').toString()));
  const message = encode([
    { name: 'pyodideRuntime-internal:pyodide.asm', kind: 'src', bytes: glue },
    { name: 'pyodideRuntime-internal:pyodide.asm.wasm', kind: 'wasm', bytes: read('pyodide.asm.wasm') },
    { name: 'pyodideRuntime-internal:python_stdlib.zip', kind: 'data', bytes: read('python_stdlib.zip') },
  ]);
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'pyodide_dev.capnp.bin'), message);
  return message.length;
}
