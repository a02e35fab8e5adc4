// The processes that a command starts, none of which may outlive it.
import { once } from 'node:events';

const GRACE_MS = 3000;
const children = new Set();

process.once('exit', () => children.forEach((child) => child.kill('SIGKILL')));

/** Has `child` stopped by `stopAll`, and killed when this process ends without that. */
export function endWithThisProcess(child) {
  children.add(child);
  child.once('exit', () => children.delete(child));
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
