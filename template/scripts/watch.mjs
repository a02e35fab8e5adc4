// Which files of the project change.
import { statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { files } from './wrangler.mjs';

const INTERVAL_MS = 200;
// What Workers and tests are made of; not what this command's own output may be written to.
const RELEVANT = /\.(?:py|toml|jsonc?|txt|html|sql|bin|wasm|m?js)$/;

/**
 * Yields the names of the project's files each time that some changed, came or went since this call.
 *
 * It looks at the times of all of them: what the system tells of folders misses files on Linux that an
 * editor replaces, and much in containers.
 */
export function changes() {
  return changesSince(times());
}

async function* changesSince(before) {
  for (;;) {
    await sleep(INTERVAL_MS);
    let now = times();
    if (different(before, now).length === 0) continue;
    for (let later; different(now, (later = await timesSoon())).length; now = later); // still being written
    yield different(before, now);
    before = now;
  }
}

async function timesSoon() {
  await sleep(INTERVAL_MS / 4);
  return times();
}

function times() {
  const names = [...files('.').filter((name) => RELEVANT.test(name)), '.dev.vars', '.env'];
  const time = (name) => statSync(name, { throwIfNoEntry: false })?.mtimeMs;
  return new Map(names.map((name) => [name, time(name)]));
}

function different(before, now) {
  const names = new Set([...before.keys(), ...now.keys()]);
  return [...names].filter((name) => before.get(name) !== now.get(name)).sort();
}
