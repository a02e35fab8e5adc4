// Serves the Worker in the current folder by Miniflare, from its snapshot, until it is killed:
//   node miniflare.mjs --home PROJECT --bundle FOLDER --snapshot FILE --standins URL [--instant] SPEC
// Prints one line of JSON once it answers: its port, and the headers of a caller.
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    home: { type: 'string' },
    bundle: { type: 'string' },
    snapshot: { type: 'string' },
    standins: { type: 'string' },
    instant: { type: 'boolean' },
  },
});
process.env.WRANGLER_LOG = 'none'; // it would write to stdout
process.env.WRANGLER_SEND_METRICS = 'false';
const { modules, flags } = JSON.parse(readFileSync(positionals[0], 'utf8'));
const require = createRequire(path.join(options.home, 'package.json'));
const { Miniflare, convertV4MiniflareOptions } = require('miniflare');
const wrangler = require('wrangler');
const scripts = path.join(options.home, 'scripts', 'standins.mjs');
const { developmentToken, localVars } = await import(scripts);

const HOURS = 3600;
const MANY = 1_000_000_000;

// Miniflare has no option for the bundle and the snapshot, so it starts workerd by this.
const program = path.resolve('.cache', 'workerd.sh');
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
writeFileSync(
  program,
  `#!/bin/sh
verb=$1; shift
[ "$verb" = serve ] && set -- --pyodide-bundle-disk-cache-dir=${quoted(options.bundle)} \\
  --python-snapshot-dir=${quoted(path.dirname(options.snapshot))} \\
  --python-load-snapshot=${quoted(path.basename(options.snapshot))} "$@"
exec ${quoted(require('workerd').default ?? require('workerd'))} "$verb" "$@"
`,
);
chmodSync(program, 0o755);
process.env.MINIFLARE_WORKERD_PATH = program;

const { workerOptions, externalWorkers } = wrangler.unstable_getMiniflareWorkerOptions(
  'wrangler.toml',
  undefined,
  { envFiles: [] },
);
delete workerOptions.modulesRules;
// No limit is to end a measurement.
for (const limit of Object.values(workerOptions.ratelimits)) limit.simple.limit = MANY;
const vars = localVars(options.standins);
// What is not ours has none of the modules by which the scripts know a provider and an issuer.
if (workerOptions.bindings.OPENAI_BASE_URL) {
  vars.OPENAI_BASE_URL ??= `${options.standins}/openai/v1`;
  vars.OPENAI_MODEL ??= 'standin-echo';
}
const foreignIssuer = workerOptions.bindings.AUTH_ISSUER && !vars.AUTH_ISSUER;
if (foreignIssuer) vars.AUTH_ISSUER = `${options.standins}/clerk`;
if (workerOptions.bindings.QUOTA_REQUESTS_PER_DAY) {
  vars.QUOTA_REQUESTS_PER_DAY = vars.QUOTA_TOKENS_PER_DAY = String(MANY);
}

const type = (name) => {
  if (name.endsWith('.py')) return 'PythonModule';
  return name.endsWith('.txt') && !name.startsWith('python_modules/') ? 'Text' : 'Data';
};
const worker = {
  ...workerOptions,
  name: 'main',
  modulesRoot: '/',
  modules: modules.map(({ name, file }) => {
    const contents = readFileSync(file);
    const kind = type(name);
    return { type: kind, path: `/${name}`, contents: kind === 'Data' ? contents : `${contents}` };
  }),
  compatibilityFlags: [...workerOptions.compatibilityFlags, ...flags],
  bindings: { ...workerOptions.bindings, ...vars },
  unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }], // past Miniflare's own Worker
  outboundService: options.instant ? 'instant' : undefined,
};
const instant = {
  name: 'instant',
  modules: true,
  script: readFileSync(path.join(import.meta.dirname, 'instant.mjs'), 'utf8'),
  compatibilityDate: workerOptions.compatibilityDate,
};
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    cf: false,
    telemetry: { enabled: false },
    handleStructuredLogs() {}, // a line a request
    workers: [worker, instant, ...externalWorkers],
  }),
);
await miniflare.ready;
const config = wrangler.unstable_readConfig({ config: 'wrangler.toml' }, { hideWarnings: true });
for (const { binding, migrations_dir } of config.d1_databases) {
  const database = await miniflare.getD1Database(binding, 'main');
  const folder = migrations_dir ?? 'migrations';
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.sql')).sort()) {
    const sql = readFileSync(path.join(folder, name), 'utf8');
    for (const statement of wrangler.unstable_splitSqlQuery(sql)) {
      await database.prepare(statement).run();
    }
  }
}
const credentials = await developmentToken(options.standins, 8 * HOURS);
const headers = {};
if (credentials) {
  const [name, scheme] = credentials.header.split(':');
  headers[name] = `${scheme} ${credentials.token}`.trim();
} else if (foreignIssuer) {
  const body = JSON.stringify({ ttl: 8 * HOURS });
  const answer = await fetch(`${vars.AUTH_ISSUER}/token`, { method: 'POST', body });
  headers.authorization = `Bearer ${(await answer.json()).token}`;
}
const { port } = await miniflare.unsafeGetDirectURL('main');
console.log(JSON.stringify({ port: Number(port), headers }));
