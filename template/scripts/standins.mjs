// The stand-ins for outside services (dev/standins), and the settings that point the Worker at them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { readConfig } from './bindings.mjs';
import { endWithThisProcess } from './processes.mjs';
import { indexEnvironment, uv } from './uv.mjs';

const KEY = 'standin-key'; // the API key they take
const MODEL = 'standin-echo'; // says what it was told; others do worse: dev/standins/providers.py
const FRONT_END = 'http://localhost:3000'; // whom their tokens are for

/**
 * Starts `python -m dev.standins`; `port` 0 takes a free one. What they keep goes to the folder
 * `data`, or is forgotten.
 *
 * Resolves to `{ url, ended }`, its address and the promise of its end. Throws when it cannot start.
 */
export async function startStandins(port = 0, data = '') {
  const args = ['run', '--quiet', 'python', '-m', 'dev.standins', '--port', String(port)];
  const child = spawn(await uv(), args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...indexEnvironment(), STANDINS_DATA: data },
  });
  endWithThisProcess(child);
  const ended = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) {
    return { url: JSON.parse(line).url, ended };
  }
  throw new Error('the stand-ins did not start: see above');
}

/**
 * The Worker's variables and secrets for the stand-ins at `url`: those of wrangler.toml, with every
 * outside address on loopback, and ENVIRONMENT as it is nowhere but on one's own machine.
 */
export function localVars(url) {
  const { vars, secrets } = readConfig();
  const local = { ENVIRONMENT: 'local' };
  for (const [name, value] of Object.entries(vars)) {
    const [, provider, kind] = name.match(/^([A-Z]+)_(BASE_URL|MODEL)$/) ?? [];
    const place = kind === 'BASE_URL' && `/${provider.toLowerCase()}${new URL(value).pathname}`;
    if (place) local[name] = url + place;
    if (kind === 'MODEL') local[name] = MODEL;
  }
  if ('AUTH_ISSUER' in vars) {
    local.AUTH_ISSUER = `${url}/clerk`;
    local.AUTH_AUTHORIZED_PARTIES = FRONT_END;
  }
  if ('UPSTASH_REDIS_REST_URL' in vars) local.UPSTASH_REDIS_REST_URL = `${url}/upstash`;
  for (const name of secrets?.required ?? []) local[name] = KEY;
  if ('TURSO_AUTH_TOKEN' in local) local.TURSO_DATABASE_URL = `${url}/turso/main`;
  return local;
}

/** A token that the Worker takes for `seconds`, or undefined where it asks for none. */
export async function developmentToken(url, seconds) {
  if (!('AUTH_ISSUER' in readConfig().vars)) return undefined;
  const body = JSON.stringify({ ttl: seconds });
  const response = await fetch(`${url}/clerk/token`, { method: 'POST', body });
  return (await response.json()).token;
}
