// The processes that a command starts, none of which may outlive it.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

const GRACE_MS = 3000;
const children = new Set();

process.once('exit', () => children.forEach((child) => child.kill('SIGKILL')));

/** Has `child` stopped by `stopAll`, and killed when this process ends without that. */
export function endWithThisProcess(child) {
  children.add(child);
  child.once('exit', () => children.delete(child));
}

/** Starts a script of this folder on a process of its own, which is sent messages. */
export function start(script, { stdio = 'inherit', args = [] } = {}) {
  const child = fork(path.join(import.meta.dirname, script), args, {
    stdio: ['ignore', stdio, stdio, 'ipc'],
  });
  endWithThisProcess(child);
  return child;
}

/** Resolves to the next message of `child`. Throws when it ends without one. */
export async function messageFrom(child) {
  const ended = once(child, 'exit').then(() => {
    throw new Error(`${path.basename(child.spawnargs.at(-1))} ended early: see above`);
  });
  const [message] = await Promise.race([once(child, 'message'), ended]);
  return message;
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

/**
 * In a process that `start` started: has it end, after `close`, when its parent says so or is gone,
 * and when it fails.
 */
export function followParent(close) {
  const end = async () => {
    await close();
    process.exit();
  };
  process.once('uncaughtException', (error) => {
    // Of an error in Python the message has the traceback; its stack is minified JavaScript.
    console.error(error.name === 'PythonError' ? error.message : error.stack);
    process.exit(1);
  });
  process.once('SIGTERM', end);
  process.once('disconnect', end);
  process.on('SIGINT', () => {}); // Ctrl-C reaches everyone: it is for the parent to act on
}
