// npm run local: the Worker and its stand-ins on this machine; npm run standins: only the latter.
import { existsSync, writeFileSync } from 'node:fs';
import { openBindings, readConfig } from './bindings.mjs';
import { startPython } from './python.mjs';
import { vendor } from './requirements.mjs';
import { developmentToken, localVars, startStandins } from './standins.mjs';
import { loadWorker, serve } from './worker.mjs';

const WORKER_PORT = 8787; // wrangler dev's
const STANDINS_PORT = 8788;
const TOKEN_SECONDS = 8 * 60 * 60;
const DEV_VARS = '.dev.vars';

/** Serves the Worker until Ctrl-C, its data in wrangler's own local state. */
export async function local() {
  await vendor();
  console.error('starting ...');
  const [python, { bindings }, standins] = await Promise.all([
    startPython(['src', 'python_modules']),
    openBindings({ persist: true }),
    startStandins(STANDINS_PORT),
  ]);
  const env = { ...readConfig().vars, ...bindings, ...localVars(standins.url) };
  const url = await serve(loadWorker(python, env), WORKER_PORT);
  await explain(url, standins.url);
  await standins.ended;
}

/** Serves the stand-ins for `npm run dev`, whose .dev.vars it writes unless there is one. */
export async function standinsOnly() {
  const { url, ended } = await startStandins(STANDINS_PORT);
  const vars = Object.entries(localVars(url)).map(([name, value]) => `${name}="${value}"\n`);
  if (existsSync(DEV_VARS)) {
    console.log(`${DEV_VARS} is there already and stays as it is. For the stand-ins it needs:\n`);
    console.log(vars.join(''));
  } else {
    writeFileSync(DEV_VARS, vars.join(''), { flag: 'wx', mode: 0o600 });
    console.log(`Wrote ${DEV_VARS}, which points the Worker at the stand-ins.`);
  }
  await explain(
    `http://localhost:${WORKER_PORT}`,
    url,
    'once `npm run dev` runs in another terminal',
  );
  await ended;
}

async function explain(worker, standins, when = '') {
  const token = await developmentToken(standins, TOKEN_SECONDS);
  const auth = token ? ' -H "Authorization: Bearer $TOKEN"' : '';
  const chat = (fields) =>
    `curl${fields.stream ? ' -N' : ''} ${worker}/v1/chat${auth} -H "Content-Type: application/json" -d '${JSON.stringify(
      {
        messages: [{ role: 'user', content: 'Hello!' }],
        ...fields,
      },
    )}'`;
  const lines = [
    '',
    `Worker     ${worker} ${when}`.trimEnd(),
    `Stand-ins  ${standins}`,
    '',
    'In another terminal:',
    '',
    ...(token ? [`TOKEN=${token}`, ''] : []),
    `curl ${worker}/healthz`,
    chat({}),
    chat({ stream: true }),
  ];
  if (token) lines.push(`curl ${worker}/v1/me${auth}`);
  if (readConfig().d1_databases.length) lines.push(`curl ${worker}/v1/chats${auth}`);
  console.log([...lines, '', 'Ctrl-C ends it.'].join('\n'));
}
