// npm test: the project's tests inside Pyodide, beside the Worker over HTTP and the stand-ins.
import { messageFrom, start, stopAll } from './processes.mjs';
import { compileStandardLibrary } from './python.mjs';
import { vendor } from './requirements.mjs';
import { startStandins } from './standins.mjs';

const LOG_LINES = 40;

/**
 * Runs the tests with pytest's `args`. Resolves to pytest's exit code; with `coverage` also to 1 when
 * they run less of src/ than pyproject.toml asks for.
 */
export async function test(args, { coverage = false } = {}) {
  await vendor();
  await compileStandardLibrary();
  const options = { args: coverage ? ['--coverage'] : [] };
  const worker = start('serve.mjs', { ...options, stdio: 'pipe' });
  const pytest = start('pytest.mjs', options);
  const log = lastLines([worker.stdout, worker.stderr]);
  const [addresses, code] = [messageFrom(worker), messageFrom(pytest)];
  code.catch(() => {}); // looked at once the stand-ins have started, if they do
  addresses.catch(() => {});
  try {
    const { url: standins } = await startStandins();
    worker.send(standins);
    const [url, unconfigured] = await Promise.race([addresses, code]);
    const env = { STANDINS_URL: standins, WORKER_URL: url, WORKER_URL_UNCONFIGURED: unconfigured };
    if (process.stdout.isTTY) args = ['--color=yes', ...args];
    pytest.send({ args: ['-p', 'no:cacheprovider', ...args], env });
    const failed = (await code) !== 0;
    if (failed && log.length) console.error(`\nthe Worker's last words:\n${log.join('\n')}`);
    return failed || !coverage ? await code : await reported(worker, pytest);
  } catch (error) {
    if (log.length) console.error(log.join('\n'));
    throw error;
  } finally {
    await stopAll();
  }
}

// What the Worker ran over HTTP first, for the report is of both.
async function reported(worker, pytest) {
  worker.send('end');
  await messageFrom(worker);
  pytest.send('report');
  return messageFrom(pytest);
}

function lastLines(streams) {
  const lines = [];
  for (const stream of streams) {
    stream.setEncoding('utf8').on('data', (text) => {
      lines.push(...text.trimEnd().split('\n'));
      lines.splice(0, lines.length - LOG_LINES);
    });
  }
  return lines;
}
