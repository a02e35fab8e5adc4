// A process of `npm test`: the project's own tests inside Pyodide. It is told pytest's arguments and
// environment, and answers with pytest's exit code; then, where it measures, with the report's.
import { once } from 'node:events';
import { openBindings } from './bindings.mjs';
import { measure, measuring, report } from './coverage.mjs';
import { followParent } from './processes.mjs';
import { runFile, startPython } from './python.mjs';
import { registerPlatform } from './worker.mjs';

const opening = openBindings();
followParent(async () => (await opening).close());
const told = once(process, 'message');

const starting = startPython(['python_modules', '.cache/test_modules']);
const [python, { bindings }] = await Promise.all([starting, opening]);
registerPlatform(python, bindings);
const end = measuring && measure(python, 'pytest', '/project/src');
const run = runFile(python, 'run_pytest.py');
const [{ args, env }] = await told;
process.send(await run.callPromising(python.toPy(args), python.toPy(env)));
if (measuring) {
  end();
  await once(process, 'message');
  process.send(report(python));
}
