// What a Worker logs, for people to read.
import { styleText } from 'node:util';

const COLORS = { error: 'red', warning: 'yellow', warn: 'yellow' };
const OWN_FRAME = /^ *File "\/session\/metadata\/(?!python_modules\/)/;
const FRAME = /^ *File "/;

/** A line of the log. On a terminal, an object in JSON is spelled out. */
export function readable(level, message, source) {
  const text = pythonError(message, source);
  if (!process.stdout.isTTY) return text;
  const [time] = new Date().toTimeString().split(' ');
  const fields = parsed(text);
  if (!fields) return `${time} ${paint(level, text)}`;
  const { level: own = level, event = '', request_id: _, ...rest } = fields;
  const details = Object.entries(rest).map(([name, value]) => `${name}=${compact(value)}`);
  return [time, paint(own, `${event}`), ...details].join(' ');
}

/**
 * What Python says of an error, with the frames of the project's own modules alone, which are in the
 * folder `source`. Any other text is returned as it is.
 */
export function pythonError(message, source) {
  const start = message.indexOf('Traceback (most recent call last)');
  if (start === -1) return message;
  const end = message.search(/\n\n +at /); // of JavaScript's own frames
  const [title, ...lines] = message.slice(start, end === -1 ? undefined : end).split('\n');
  const folder = !source || source === '.' ? '' : `${source}/`;
  const kept = [];
  let isOwn = true;
  for (const line of lines) {
    if (FRAME.test(line)) isOwn = OWN_FRAME.test(line) || !line.includes(', in ');
    else if (/^\S/.test(line)) isOwn = true; // the error itself
    if (isOwn) kept.push(line.replace('/session/metadata/', folder));
  }
  return [title, ...kept].join('\n').trim();
}

function parsed(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === 'object' && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function compact(value) {
  if (typeof value === 'number' && !Number.isInteger(value)) return value.toFixed(1);
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function paint(level, text) {
  return COLORS[level] ? styleText(COLORS[level], text) : text;
}
