// npm run local: the Worker and its stand-ins on this machine; npm run standins: only the latter.
// Both take --port and --standins-port.
import { existsSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { pythonError, readable } from './log.mjs';
import { requireFree } from './ports.mjs';
import { vendor } from './requirements.mjs';
import { developmentToken, hasModule, hasStandins, localVars, startStandins } from './standins.mjs';
import { changes } from './watch.mjs';
import { snapshotOf, startError, startWorkerd, STOPPED } from './workerd.mjs';
import {
  localConfig,
  migrateAll,
  ownModules,
  sourceFolder,
  vendoredModules,
  workerOptions,
} from './wrangler.mjs';

const PORTS = {
  port: { type: 'string', default: '8787' }, // wrangler dev's
  'standins-port': { type: 'string', default: '8788' },
};
const TOKEN_SECONDS = 8 * 60 * 60;
const DEV_VARS = '.dev.vars';
const STATE = '.wrangler/state';
const DATA = `${STATE}/standins`; // beside what wrangler keeps

/** Serves the Worker until Ctrl-C, again after each change, its data in wrangler's own local state. */
export async function local(args) {
  const ports = parsePorts(args);
  await requireFree(ports.port, '--port');
  if (hasStandins()) await requireFree(ports['standins-port'], '--standins-port');
  await vendor();
  console.error('starting ...');
  const standins = hasStandins() ? await startStandins(ports['standins-port'], DATA) : undefined;
  const vars = standins && localVars(standins.url);
  const { config, missing } = localConfig();
  missing.forEach((sentence) => console.error(`note: ${sentence}`));
  const source = sourceFolder(config);
  const packages = vendoredModules(config);
  const workerd = startWorkerd([answering('the Worker is starting: ask again in a moment')], {
    port: ports.port,
    snapshot: await snapshotOf(config, packages),
    resourcePersistencePath: `${STATE}/v3`,
    unsafeTriggerHandlers: true,
    handleStructuredLogs: ({ level, message }) => console.log(readable(level, message, source)),
  });
  const url = (await workerd.ready).href.replace(/\/$/, '');
  const changing = changes();
  await load(workerd, packages, vars);
  await explain(url, standins?.url);
  for await (const files of changing) {
    const started = performance.now();
    if (await load(workerd, packages, vars)) {
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      console.log(`${files.join(', ')} changed: reloaded in ${seconds} s`);
    }
  }
}

function parsePorts(args) {
  const { values } = parseArgs({ args, options: PORTS });
  const ports = Object.entries(values).map(([name, value]) => {
    if (!/^\d{1,5}$/.test(value) || Number(value) > 65535) {
      throw new Error(`--${name} ${value}: not a port; use 0 to 65535`);
    }
    return [name, Number(value)];
  });
  return Object.fromEntries(ports);
}

// workerd logs no exception that leaves a handler. This Worker is told of them.
const TAIL = {
  name: 'forge-exceptions',
  modules: [
    {
      type: 'ESModule',
      path: '/exceptions.mjs',
      contents: `export default { tail(traces) {
        for (const { exceptions } of traces) for (const { message } of exceptions) console.error(message);
      } };`,
    },
  ],
};

// Resolves to whether the Worker runs. Where it does not, all answers say why.
async function load(workerd, packages, vars) {
  let config;
  try {
    ({ config } = localConfig());
    const worker = {
      ...workerOptions(config, vars),
      modules: [...ownModules(config), ...packages],
      tails: [TAIL.name],
    };
    await workerd.reload([worker, TAIL]);
    await migrateAll(workerd, config);
    return true;
  } catch (error) {
    const text = pythonError(startError(error), config ? sourceFolder(config) : '');
    if (error.code !== STOPPED) console.error(text); // else workerd has logged it
    await workerd.reload([answering(`${text}\n\nFix this, and the Worker runs again.\n`, 500)]);
    return false;
  }
}

function answering(text, status = 503) {
  const body = JSON.stringify(text);
  const contents = `export default { fetch: () => new Response(${body}, { status: ${status} }) };`;
  return { modules: [{ type: 'ESModule', path: '/answer.mjs', contents }] };
}

/** Serves the stand-ins for `npm run dev`, whose .dev.vars it writes unless there is one. */
export async function standinsOnly(args) {
  const ports = parsePorts(args);
  await requireFree(ports['standins-port'], '--standins-port');
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
  if (!standins) return console.log(`\nWorker     ${worker}\n\nCtrl-C ends it.`);
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
  if (hasModule('quota')) lines.push(`curl ${worker}/v1/quota${auth}`);
  if (credentials && hasModule('database/chats')) lines.push(`curl ${worker}/v1/chats${auth}`);
  if (hasModule('files')) lines.push(`curl ${worker}/v1/files/README.md${auth} -T README.md`);
  console.log([...lines, '', 'Ctrl-C ends it.'].join('\n'));
}
