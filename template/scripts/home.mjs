// Where things are. The *project* is the current folder. The *home* is the folder with scripts/ and node_modules/:
// in a project that Forge made, the same one. `forge serve` and `forge test` run a home in the user's cache for
// Workers that have none.
import { realpathSync } from 'node:fs';
import path from 'node:path';

export const HOME = path.resolve(import.meta.dirname, '..');

/** Whether the project is the home, with locks and an environment of its own. */
export const isOwn = realpathSync('.') === realpathSync(HOME);

/** The folders with the Worker's packages. */
export const PACKAGES = folders('WORKER_PACKAGES', 'python_modules');

/** The folders with the packages that only the tests need. */
export const TEST_PACKAGES = folders('WORKER_TEST_PACKAGES', '.cache/test_modules');

function folders(name, otherwise) {
  return process.env[name]?.split(path.delimiter).filter(Boolean) ?? [otherwise];
}
