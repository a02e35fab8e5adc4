// npm run coverage: which lines and branches of src/ the tests run, in process and over HTTP.
import { runFile } from './python.mjs';

const CONFIG = '/project/pyproject.toml';
const DATA = ['pytest', 'serve'].map((name) => `/project/.cache/coverage.${name}`);

/** The folder of the package that measures: to be on the path of whoever does. */
export const COVERAGE_MODULES = '.cache/test_modules';

/** Whether this process was started to measure. */
export const measuring = process.argv.includes('--coverage');

/** Has `python` measure what it runs below `source`. Returns a function that ends it. */
export function measure(python, name, source) {
  return runFile(python, 'measure.py')(source, DATA.find((data) => data.endsWith(name)), CONFIG);
}

/** Has `python` print a report of all that was measured. Returns an exit code. */
export function report(python) {
  return runFile(python, 'report.py')(python.toPy(DATA), CONFIG);
}
