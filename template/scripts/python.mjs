// Pyodide in Node, started the way both the Worker and its tests need it.
import { mkdirSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { loadPyodide } from 'pyodide';

/**
 * Starts a Python 3.14 whose sys.path is `folders` (of this machine), in this project's folder.
 *
 * Returns Pyodide's API.
 */
export async function startPython(folders) {
  const python = await loadPyodide({ env: { HOME: '/home/pyodide' } });
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
  python.runPython(`
import os, sys
def start(project, places, pycache):
    sys.pycache_prefix = pycache
    sys.path[:0] = places
    os.chdir(project)
start
`)(project, python.toPy(places), pycache);
  return python;
}

function to(stream) {
  return { isatty: false, write: (bytes) => (stream.write(bytes.slice()), bytes.length) };
}
