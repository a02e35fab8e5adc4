// npm run local: the Worker and its stand-ins on this machine; npm run standins: only the latter.
// Both take --port and --standins-port.
import { existsSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { openBindings, readConfig } from './bindings.mjs';
import { compileStandardLibrary, startPython } from './python.mjs';
import { vendor } from './requirements.mjs';
import { developmentToken, localVars, startStandins } from './standins.mjs';
import { loadWorker, serve } from './worker.mjs';

const PORTS = {
  port: { type: 'string', default: '8787' }, // wrangler dev's
  'standins-port': { type: 'string', default: '8788' },
};
const TOKEN_SECONDS = 8 * 60 * 60;
const DEV_VARS = '.dev.vars';
const DATA = '.wrangler/state/standins'; // beside what wrangler keeps

/** Serves the Worker until Ctrl-C, its data in wrangler's own local state. */
export async function local(args) {
  const { values: ports } = parseArgs({ args, options: PORTS });
  await vendor();
  await compileStandardLibrary();
  console.error('starting ...');
  const [python, { bindings }, standins] = await Promise.all([
    startPython(['src', 'python_modules']),
    openBindings({ persist: true }),
    startStandins(ports['standins-port'], DATA),
  ]);
  const env = { ...readConfig().vars, ...bindings, ...localVars(standins.url) };
  const url = await serve(loadWorker(python, env), ports.port);
  await explain(url, standins.url);
  await standins.ended;
}

/** Serves the stand-ins for `npm run dev`, whose .dev.vars it writes unless there is one. */
export async function standinsOnly(args) {
  const { values: ports } = parseArgs({ args, options: PORTS });
  const { url, ended } = await startStandins(ports['standins-port'], DATA);
  const vars = Object.entries(localVars(url)).map(([name, value]) => `${name}="${value}"\n`);
  if (existsSync(DEV_VARS)) {
    console.log(`${DEV_VARS} is there already and stays as it is. For the stand-ins it needs:\n`);
    console.log(vars.join(''));
  } else {
    writeFileSync(DEV_VARS, vars.join(''), { flag: 'wx', mode: 0o600 });
    console.log(`Wrote ${DEV_VARS}, which points the Worker at the stand-ins.`);
  }
  await explain(
    `http://localhost:${ports.port}`,
    url,
    'once `npm run dev` runs in another terminal',
  );
  await ended;
}

async function explain(worker, standins, when = '') {
  const credentials = await developmentToken(standins, TOKEN_SECONDS);
  const auth = credentials ? ` -H "${credentials.header} $TOKEN"` : '';
  const json = ' -H "Content-Type: application/json"';
  const messages = '"messages":[{"role":"user","content":"Hello!"}]';
  const lines = [
    '',
    `Worker     ${worker} ${when}`.trimEnd(),
    `Stand-ins  ${standins}`,
    '',
    'In another terminal:',
    '',
    ...(credentials ? [`TOKEN=${credentials.token}`, ''] : []),
    `curl ${worker}/healthz`,
    `curl ${worker}/v1/chat${auth}${json} -d '{${messages}}'`,
    `curl -N ${worker}/v1/chat${auth}${json} -d '{${messages},"stream":true}'`,
  ];
  if (credentials) lines.push(`curl ${worker}/v1/me${auth}`);
  if ('QUOTA_TOKENS_PER_DAY' in readConfig().vars) lines.push(`curl ${worker}/v1/quota${auth}`);
  const stored = readConfig().d1_databases.length || 'TURSO_DATABASE_URL' in localVars(standins);
  if (stored) lines.push(`curl ${worker}/v1/chats${auth}`);
  if (readConfig().r2_buckets.length)
    lines.push(`curl ${worker}/v1/files/README.md${auth} -T README.md`);
  console.log([...lines, '', 'Ctrl-C ends it.'].join('\n'));
}
