// Pyodide in Node, started the way both the Worker and its tests need it.
import {
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadPyodide, version } from 'pyodide';

const STDLIB = path.resolve(`.cache/python_stdlib-${version}.zip`);

/** Has Pyodide start sooner, by a standard library that is compiled already. */
export async function compileStandardLibrary() {
  if (existsSync(STDLIB)) return;
  console.error('compiling the standard library ...');
  const python = await loadPyodide();
  const pyodide = path.dirname(fileURLToPath(import.meta.resolve('pyodide')));
  const source = new Uint8Array(readFileSync(path.join(pyodide, 'python_stdlib.zip')));
  const compiled = runFile(python, 'compile_stdlib.py')(python.toPy(source)).toJs();
  mkdirSync(path.dirname(STDLIB), { recursive: true });
  writeFileSync(`${STDLIB}-${process.pid}`, compiled);
  renameSync(`${STDLIB}-${process.pid}`, STDLIB);
}

/**
 * Starts a Python 3.14 whose sys.path is `folders` (of this machine), in this project's folder.
 *
 * Returns Pyodide's API. `compileStandardLibrary` comes first.
 */
export async function startPython(folders) {
  const python = await loadPyodide({ stdLibURL: STDLIB, env: { HOME: '/home/pyodide' } });
  const mount = (folder, place) => {
    python.FS.mkdirTree(place);
    python.FS.mount(python.FS.filesystems.NODEFS, { root: realpathSync(folder) }, place);
    return place;
  };
  python.setStdout(to(process.stdout));
  python.setStderr(to(process.stderr));
  mkdirSync('.cache/pycache', { recursive: true });
  const pycache = mount('.cache/pycache', '/pycache');
  const project = mount('.', '/project');
  // Each folder is mounted by itself: it may be a link to a place outside of the project.
  const places = folders.map((folder) => mount(folder, `/${path.basename(folder)}`));
  runFile(python, 'start.py')(project, python.toPy(places), pycache);
  return python;
}

/** Runs a Python file of this folder in a namespace of its own; returns its last expression's value. */
export function runFile(python, file) {
  const source = readFileSync(path.join(import.meta.dirname, file), 'utf8');
  return python.runPython(source, { globals: python.toPy({}), filename: file });
}

function to(stream) {
  return { isatty: false, write: (bytes) => (stream.write(bytes.slice()), bytes.length) };
}
