// npm run revoke: takes a token, or all tokens of a session, back before they expire.
//
//   npm run revoke -- --jti ID | --sid ID  [--ttl SECONDS] [--env NAME | --local] [--undo]
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { environments, readConfig } from './wrangler.mjs';
import { hasModule, localVars } from './standins.mjs';

const OPTIONS = {
  jti: { type: 'string' },
  sid: { type: 'string' },
  ttl: { type: 'string', default: String(30 * 24 * 60 * 60) },
  env: { type: 'string' },
  local: { type: 'boolean', default: false },
  'standins-port': { type: 'string', default: '8788' }, // npm run local's
  undo: { type: 'boolean', default: false },
};
const LEAST_TTL = 60; // KV's
const MOST_TTL = 10 * 365 * 24 * 60 * 60;
const TIMEOUT_MS = 10_000;
const WRANGLER = path.resolve('node_modules/wrangler/bin/wrangler.js');

/** Revokes, or undoes that. Resolves to an exit code; throws where that cannot be, saying why. */
export async function revoke(args) {
  const { values } = parseArgs({ args, options: OPTIONS });
  const [kind, id] = named(values);
  const ttl = seconds(values.ttl);
  checkEnvironment(values);
  // src/service/auth/revocation.py asks for these keys.
  const key = `${kind}:${createHash('sha256').update(id).digest('hex')}`;
  await (hasModule('auth/upstash') ? inRedis : inKV)(key, ttl, values);
  const what = kind === 'jti' ? 'the token' : 'every token of the session';
  console.log(values.undo ? `${what} is no longer revoked` : `revoked ${what} for ${ttl} seconds`);
}

function named({ jti, sid }) {
  const given = Object.entries({ jti, sid }).filter(([, id]) => id !== undefined);
  if (given.length !== 1) throw new Error('name one: --jti ID, a token, or --sid ID, a session');
  const [kind, id] = given[0];
  if (!/^[\x21-\x7e]{1,1024}$/.test(id)) {
    throw new Error(`--${kind} needs to be 1 to 1024 visible ASCII characters without spaces`);
  }
  return given[0];
}

function seconds(text) {
  const ttl = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (ttl < LEAST_TTL || ttl > MOST_TTL) {
    throw new Error(
      `--ttl needs to be ${LEAST_TTL} to ${MOST_TTL} seconds: as long as it could live`,
    );
  }
  return ttl;
}

function checkEnvironment({ env, local }) {
  if (env !== undefined && local) throw new Error('give --env or --local, not both');
  const names = environments();
  if (!names.includes(env)) {
    throw new Error(`--env needs to be ${names.filter(Boolean).join(' or ')}, as in wrangler.toml`);
  }
}

async function inKV(key, ttl, { env = '', local, undo }) {
  const change = undo ? ['delete', key] : ['put', key, 'revoked', '--ttl', String(ttl)];
  const where = ['--binding', 'REVOKED', '--env', env, local ? '--local' : '--remote'];
  const command = [WRANGLER, 'kv', 'key', ...change, ...where];
  const { status } = spawnSync(process.execPath, command, {
    stdio: ['inherit', 'ignore', 'inherit'],
  });
  if (status !== 0) throw new Error('wrangler could not change the namespace: see above');
}

async function inRedis(key, ttl, { env, local, undo, 'standins-port': port }) {
  // Not an argument: those are seen by everybody on the machine, and kept by the shell.
  const { UPSTASH_REDIS_REST_TOKEN } = process.env;
  const { UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: token } = local
    ? localVars(`http://127.0.0.1:${port}`)
    : { ...readConfig(env).vars, UPSTASH_REDIS_REST_TOKEN };
  if (!token) throw new Error('set UPSTASH_REDIS_REST_TOKEN in the environment of this command');
  const command = undo ? ['DEL', key] : ['SET', key, 'revoked', 'EX', ttl];
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify(command),
    redirect: 'error',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).catch((error) => {
    throw new Error(`${url} cannot be reached: ${error.cause?.message ?? error.message}`);
  });
  if (!response.ok) throw new Error(`${url} answered with status ${response.status}`);
}
