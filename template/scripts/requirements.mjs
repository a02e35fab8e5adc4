// The Worker's packages, locked and vendored from PyPI alone, for Python 3.14 on the Workers platform.
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { isOwn, PACKAGES, TEST_PACKAGES } from './home.mjs';
import { runUv } from './uv.mjs';
import { matcher, readConfig } from './wrangler.mjs';

const PYTHON = '3.14';
const PLATFORM = 'pyemscripten_2026_0_wasm32';
const COMPACT = path.join(import.meta.dirname, 'compact.py');
const STAMP = '.locked'; // inside the folder: whoever replaces the folder removes it

const LOCKS = {
  'requirements/worker.txt': {
    from: ['pyproject.toml', '--group', 'platform'],
    folder: PACKAGES[0], // wrangler uploads this one
    uploaded: true,
  },
  'requirements/test.txt': {
    from: ['--group', 'test', '--constraints', 'requirements/worker.txt'],
    folder: TEST_PACKAGES[0],
  },
};

/** Writes the locks anew. An existing lock's versions stay, unless `options` (--upgrade) say so. */
export async function lock(options = []) {
  for (const [file, { from }] of Object.entries(LOCKS)) {
    // prettier-ignore
    const code = await runUv([
      'pip', 'compile', ...from, '--output-file', file, ...options, '--quiet',
      '--universal', '--python-version', PYTHON, '--no-build', '--generate-hashes',
      '--no-annotate', '--custom-compile-command', 'npm run lock',
    ]);
    if (code !== 0) throw new Error(`${file} could not be locked`);
  }
}

/**
 * Fills the folders that are not what their lock says, less what wrangler.toml excludes from the
 * upload: what is tested is what is deployed. Where the project has no locks, Forge has filled them.
 */
export async function vendor() {
  if (!isOwn) return;
  const { exclude } = readConfig().python_modules;
  const locks = Object.entries(LOCKS);
  await Promise.all(locks.map(([file, options]) => fill(file, exclude, options)));
}

/**
 * Fetches what the other commands need from PyPI, so that they run without a network. Where that
 * fails, each of them tries again.
 */
export async function prepare() {
  try {
    await vendor();
    if ((await runUv(['sync', '--inexact', '--quiet'])) !== 0) throw new Error('uv sync failed');
  } catch (error) {
    console.error(
      `warning: ${error.message}\n` +
        'The packages from PyPI are not all installed: npm test and npm run local try again.',
    );
  }
}

async function fill(file, exclude, { folder, uploaded }) {
  const plan = [PLATFORM, await readFile(file, 'utf8'), ...exclude];
  if (uploaded) plan.push(await readFile(COMPACT, 'utf8'));
  const stamp = createHash('sha256').update(plan.join('\n')).digest('hex');
  const isFilled = async () => (await contents(path.join(folder, STAMP))) === stamp;
  if (await isFilled()) return;
  console.error(`filling ${folder}/ from ${file} ...`);
  // Made elsewhere and moved into place, so that the folder is never half full.
  const scratch = path.join('.cache', `${path.basename(folder)}-${process.pid}`);
  const [fresh, stale] = [path.join(scratch, 'new'), path.join(scratch, 'old')];
  const clear = () => rmSync(scratch, { recursive: true, force: true });
  process.once('exit', clear); // Ctrl-C comes this way
  try {
    await mkdir(scratch, { recursive: true });
    await install(fresh, file);
    await prune(fresh, exclude);
    if (uploaded) await compact(fresh);
    await writeFile(path.join(fresh, STAMP), stamp);
    await rename(folder, stale).catch(ignoreMissing);
    await rename(fresh, folder).catch(async (error) => {
      if (!(await isFilled())) throw error; // another run was faster
    });
  } finally {
    clear();
    process.removeListener('exit', clear);
  }
}

// pip, because uv does not know the platform's name.
async function install(folder, file) {
  // prettier-ignore
  const code = await runUv([
    'run', '--no-project', '--quiet', '--with', 'pip>=25', 'python', '-m', 'pip',
    '--disable-pip-version-check', 'install', '-qq', '--no-user', '--no-compile', '--no-deps',
    '--require-hashes', '--requirement', file, '--target', folder, '--only-binary', ':all:',
    '--platform', PLATFORM, '--implementation', 'cp', '--python-version', PYTHON,
  ]);
  if (code !== 0) throw new Error(`${file} could not be installed for ${PLATFORM}`);
  await rm(path.join(folder, 'bin'), { recursive: true, force: true }); // commands of the host's kind
}

async function prune(folder, exclude) {
  const isExcluded = matcher(exclude);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const [folders, files] = [true, false].map((wanted) =>
    entries
      .filter((entry) => entry.isDirectory() === wanted)
      .map((entry) => path.join(entry.parentPath, entry.name)),
  );
  for (const file of files) {
    const name = path.relative(folder, file).replaceAll(path.sep, '/');
    if (isExcluded(name)) await rm(file);
  }
  // An empty folder would still be a package to Python. The innermost ones first.
  for (const inner of folders.sort().reverse()) {
    if ((await readdir(inner)).length === 0) await rmdir(inner);
  }
}

// Comments would only be uploaded; docstrings would be kept in memory as well.
async function compact(folder) {
  const code = await runUv(['run', '--no-project', '--quiet', 'python', COMPACT, folder]);
  if (code !== 0) throw new Error(`${folder} could not be made smaller`);
}

async function contents(file) {
  return readFile(file, 'utf8').catch(ignoreMissing);
}

function ignoreMissing(error) {
  if (error.code !== 'ENOENT') throw error;
}
