// npm run debug: tests on this machine's Python, where it has a debugger. The fixtures start the stand-ins.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { endWithThisProcess } from './processes.mjs';
import { indexEnvironment, PYTHON, uv } from './uv.mjs';

const DATABASE = '.wrangler/debug.sqlite'; // tests/support/sqlite_d1.py keeps it

/** Runs pytest with `args`, which stops where a test fails. Resolves to its exit code. */
export async function debug(args) {
  mkdirSync(path.dirname(DATABASE), { recursive: true });
  process.removeAllListeners('SIGINT').on('SIGINT', () => {}); // Ctrl-C is the debugger's
  const pytest = [...PYTHON, '-m', 'pytest', '--pdb', '--capture=no', ...args];
  const env = { ...indexEnvironment(), D1_FILE: DATABASE };
  const child = spawn(await uv(), pytest, { stdio: 'inherit', env });
  endWithThisProcess(child);
  const [code] = await once(child, 'exit');
  return code ?? 1;
}
