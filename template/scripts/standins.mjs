// The stand-ins for outside services (dev/standins), and the settings that point the Worker at them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { endWithThisProcess, OWN_GROUP } from './processes.mjs';
import { indexEnvironment, uv } from './uv.mjs';
import { readConfig } from './wrangler.mjs';

const KEY = 'standin-key'; // the API key they take
const MODEL = 'standin-echo'; // says what it was told; others do worse: dev/standins/providers.py

// A module for each provider that the project was made with. Whatever else its variables are called, they are its own.
const APIS = 'dev/standins/apis';

// By the module of src/service/auth that takes its tokens: where the issuer is, what its tokens
// have to say, and the header that they come in.
const ISSUERS = {
  clerk: {
    path: '/clerk',
    vars: { AUTH_AUTHORIZED_PARTIES: 'http://localhost:3000' },
    header: 'Authorization: Bearer',
  },
  access: {
    path: '/access',
    vars: { AUTH_AUDIENCE: 'standin-application' },
    header: 'Cf-Access-Jwt-Assertion:',
  },
  oidc: {
    path: '/oidc',
    vars: { AUTH_AUDIENCE: 'standin-api' },
    header: 'Authorization: Bearer',
  },
};

/** Whether this project has stand-ins. */
export function hasStandins() {
  return existsSync('dev/standins');
}

/**
 * Starts `python -m dev.standins`; `port` 0 takes a free one. What they keep goes to the folder
 * `data`, or is forgotten.
 *
 * Resolves to `{ url, ended }`, its address and the promise of its end. Throws when it cannot start.
 */
export async function startStandins(port = 0, data = '') {
  const command = ['python', '-m', 'dev.standins', '--port', String(port), '--until-eof'];
  const child = spawn(await uv(), ['run', '--quiet', ...command], {
    ...OWN_GROUP,
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...indexEnvironment(), STANDINS_DATA: data },
  });
  endWithThisProcess(child, { group: true });
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
  const local = { ENVIRONMENT: 'local', RETRY_DELAY: '0.001' }; // nobody needs to be waited for
  for (const provider of providers()) {
    const [address, model, models, gatewayPath] = ['BASE_URL', 'MODEL', 'MODELS', 'GATEWAY_PATH'].map(
      (kind) => `${provider.toUpperCase()}_${kind}`,
    );
    // Any other value is left for the Worker to refuse.
    if (URL.canParse(vars[address])) {
      local[address] = `${url}/${provider}${new URL(vars[address]).pathname}`;
    }
    if (model in vars) local[model] = MODEL;
    if (models in vars) local[models] = '*';
    if (vars[gatewayPath]) local[gatewayPath] = 'standin/v1';
  }
  if (hasModule('providers/gateway')) {
    local.AI_GATEWAY_BASE_URL = `${url}/gateway`;
    local.AI_GATEWAY_ACCOUNT_ID = '0'.repeat(32);
    local.AI_GATEWAY_ID = 'standin'; // others do worse: dev/standins/gateway.py
  }
  const issuer = findIssuer();
  if (issuer) Object.assign(local, { AUTH_ISSUER: url + issuer.path, ...issuer.vars });
  // The stand-in issuer signs with its own keys.
  for (const name of ['AUTH_JWKS_URL', 'AUTH_PUBLIC_KEY']) if (name in vars) local[name] = '';
  if (hasModule('auth/upstash')) local.UPSTASH_REDIS_REST_URL = `${url}/upstash`;
  for (const name of secrets?.required ?? []) local[name] = KEY;
  if (hasModule('database/turso')) local.TURSO_DATABASE_URL = `${url}/turso/main`;
  return local;
}

/**
 * A token that the Worker takes for `seconds`, and what stands before it in its header: `{ token,
 * header }`, or undefined where the Worker asks for none.
 */
export async function developmentToken(url, seconds) {
  const issuer = findIssuer();
  if (!issuer) return undefined;
  const body = JSON.stringify({ ttl: seconds });
  const response = await fetch(`${url}${issuer.path}/token`, { method: 'POST', body });
  return { token: (await response.json()).token, header: issuer.header };
}

function providers() {
  const modules = readdirSync(APIS).filter((name) => /^[a-z]\w*\.py$/.test(name));
  return modules.map((name) => name.slice(0, -'.py'.length));
}

function findIssuer() {
  return ISSUERS[Object.keys(ISSUERS).find((name) => hasModule(`auth/${name}`))];
}

/** Whether this service has the module, which says what it was made with. */
export function hasModule(name) {
  return existsSync(`src/service/${name}.py`);
}
