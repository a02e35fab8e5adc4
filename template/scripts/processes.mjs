// The processes that a command starts, none of which may outlive it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';

const GRACE_MS = 3000;
const PARENT_MS = 500;
const children = new Set();

process.once('exit', () => children.forEach((child) => child.kill('SIGKILL')));

/** Has `child` stopped by `stopAll`, and killed when this process ends without that. */
export function endWithThisProcess(child) {
  children.add(child);
  child.once('exit', () => children.delete(child));
}

/**
 * Has `child` killed when this process is, which gets no chance to do it: by a shell that waits for the
 * end of a pipe from here. Windows has no such shell.
 */
export function killWithThisProcess(child) {
  if (process.platform === 'win32') return;
  const guard = spawn('sh', ['-c', 'read _; kill -9 "$0"', String(child.pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guard.unref();
  child.once('exit', () => guard.kill('SIGKILL'));
}

/** Calls `end` once the process that started this one is gone: npm tells nobody when it is ended. */
export function whenParentEnds(end) {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    end();
  }, PARENT_MS);
  timer.unref();
}

/** Asks all of them to end, and sees to it. */
export async function stopAll() {
  await Promise.all(
    [...children].map(async (child) => {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      const patience = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
      await ended;
      clearTimeout(patience);
    }),
  );
}
