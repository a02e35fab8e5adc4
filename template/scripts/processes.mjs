// The processes that a command starts, none of which may outlive it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

const GRACE_MS = 3000;
const PARENT_MS = 500;
const WINDOWS = process.platform === 'win32';
const GONE = 'gone';
const children = new Map(); // each with what to signal to kill it

/** For `spawn`: gives the process a group of its own, which Windows does not have. */
export const OWN_GROUP = { detached: !WINDOWS };

process.once('exit', () => children.forEach(kill));

/**
 * Makes `stopAll` stop `child`, and kills it if this process exits before that. With `group`, for a
 * process spawned with OWN_GROUP, everything it has started ends with it, however this process ends.
 */
export function endWithThisProcess(child, { group = false } = {}) {
  const target = group && !WINDOWS ? -child.pid : child.pid;
  children.set(child, target);
  child.once('exit', () => {
    children.delete(child);
    if (target < 0) kill(target); // its own children
  });
  if (group) killWithThisProcess(child, target);
}

function kill(target) {
  try {
    process.kill(target, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/**
 * Kills `child` when this process is killed and cannot do it: a shell waits for the end of a pipe from
 * here. It has a group of its own, so that a signal for all of ours leaves it alive. Windows has no
 * such shell.
 */
export function killWithThisProcess(child, target = child.pid) {
  if (WINDOWS) return;
  const guard = spawn('sh', ['-c', 'read _; kill -s KILL -- "$0"', String(target)], {
    ...OWN_GROUP,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guard.unref();
  guard.stdin.unref();
  child.once('exit', () => guard.kill('SIGKILL'));
}

/** Calls `end` once npm, or whatever else started this process, is gone: npm does not end its scripts. */
export function whenParentEnds(end) {
  const before = parents();
  const timer = setInterval(() => {
    if (before !== GONE && parents() === before) return;
    clearInterval(timer);
    end();
  }, PARENT_MS);
  timer.unref();
}

// npm runs a script with `sh -c`. Some shells stay in between, and outlive npm: Linux's dash.
function parents() {
  const parent = process.ppid;
  if (process.platform !== 'linux' || !process.env.npm_lifecycle_event) return `${parent}`;
  try {
    const [, option] = readFileSync(`/proc/${parent}/cmdline`, 'utf8').split('\0');
    if (option !== '-c') return `${parent}`;
    const [, npm] = readFileSync(`/proc/${parent}/stat`, 'utf8').match(/\) \w (\d+)/);
    // Stopped before its shell began, npm has left that to the first process. In a container it is the first.
    const isAdopted = npm === '1' && !/npm|yarn|bun/.test(readFileSync('/proc/1/cmdline', 'utf8'));
    return isAdopted ? GONE : `${parent} ${npm}`;
  } catch {
    return GONE; // it ended just now
  }
}

/** Asks all of them to end, and kills those that do not. */
export async function stopAll() {
  await Promise.all(
    [...children].map(async ([child, target]) => {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      const patience = setTimeout(() => kill(target), GRACE_MS);
      await ended;
      clearTimeout(patience);
    }),
  );
}
