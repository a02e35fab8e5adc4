// A process of `npm test`: the Worker over HTTP, once as set up for the stand-ins, once as if nobody
// had set a secret. It is told the stand-ins' address and answers with its own two.
import { once } from 'node:events';
import { openBindings, readConfig } from './bindings.mjs';
import { followParent } from './processes.mjs';
import { localVars } from './standins.mjs';
import { loadWorker, serve, startWorkerPython } from './worker.mjs';

const opening = openBindings();
followParent(async () => (await opening).close());
const told = once(process, 'message');

const python = await startWorkerPython('python_modules');
const { vars } = readConfig();
const [configured, unconfigured] = [loadWorker(python), loadWorker(python)];
const [{ bindings }, [standins]] = await Promise.all([opening, told]);
const servers = await Promise.all([
  serve(configured, { ...vars, ...bindings, ...localVars(standins) }),
  serve(unconfigured, { ...vars, ...bindings }),
]);
process.send(servers.map(({ url }) => url));
