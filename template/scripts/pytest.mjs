// A process of `npm test`: the project's own tests inside Pyodide. It is told pytest's arguments and
// environment, and answers with pytest's exit code.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { openBindings } from './bindings.mjs';
import { followParent } from './processes.mjs';
import { startPython } from './python.mjs';
import { registerPlatform } from './worker.mjs';

const opening = openBindings();
followParent(async () => (await opening).close());
const told = once(process, 'message');

const python = await startPython(['python_modules', '.cache/test_modules']);
registerPlatform(python);
const source = readFileSync(path.join(import.meta.dirname, 'run_pytest.py'), 'utf8');
const run = python.runPython(source, { globals: python.toPy({}) });
const [{ bindings }, [{ args, env }]] = await Promise.all([opening, told]);
python.registerJsModule('worker_bindings', bindings);
process.send(await run.callPromising(python.toPy(args), python.toPy(env)));
