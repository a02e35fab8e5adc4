// A process of `npm test`: the Worker over HTTP, once as set up for the stand-ins, once with
// no variable and no secret set. It is told the stand-ins' address and answers with its own two.
import { once } from 'node:events';
import { openBindings, readConfig } from './bindings.mjs';
import { COVERAGE_MODULES, measure, measuring } from './coverage.mjs';
import { followParent } from './processes.mjs';
import { startPython } from './python.mjs';
import { localVars } from './standins.mjs';
import { loadWorker, serve } from './worker.mjs';

const opening = openBindings();
followParent(async () => (await opening).close());
const told = once(process, 'message');

const starting = startPython(['src', 'python_modules', ...(measuring ? [COVERAGE_MODULES] : [])]);
const [python, { bindings }, [standins]] = await Promise.all([starting, opening, told]);
const end = measuring && measure(python, 'serve', '/src');
const { vars } = readConfig();
const configured = loadWorker(python, { ...vars, ...bindings, ...localVars(standins) });
const unconfigured = loadWorker(python, bindings);
process.send(await Promise.all([serve(configured), serve(unconfigured)]));
if (measuring) {
  await once(process, 'message');
  end();
  process.send('ended');
}
