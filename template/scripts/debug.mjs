// npm run debug: tests on this machine's Python, where it has a debugger. The fixtures start the stand-ins.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { PYTHON, runInteractively } from './uv.mjs';

const DATABASE = '.wrangler/debug.sqlite'; // tests/support/sqlite_d1.py keeps it

/** Runs pytest with `args`, which stops where a test fails. Resolves to its exit code. */
export async function debug(args) {
  mkdirSync(path.dirname(DATABASE), { recursive: true });
  const pytest = [...PYTHON, '-m', 'pytest', '--pdb', '--capture=no', ...args];
  return runInteractively(pytest, { D1_FILE: DATABASE });
}
