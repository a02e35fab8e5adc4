// The commands of package.json's scripts: node scripts/cli.mjs COMMAND [ARGUMENTS]
import { stopAll, whenParentEnds } from './processes.mjs';

const COMMANDS = {
  check: async () => (await import('./check.mjs')).check(),
  coverage: async (args) => (await import('./test.mjs')).test(args, { coverage: true }),
  local: async (args) => (await import('./local.mjs')).local(args),
  debug: async (args) => (await import('./debug.mjs')).debug(args),
  lock: async (args) => (await import('./requirements.mjs')).lock(args),
  prepare: async () => (await import('./requirements.mjs')).prepare(),
  revoke: async (args) => (await import('./revoke.mjs')).revoke(args),
  standins: async (args) => (await import('./local.mjs')).standinsOnly(args),
  test: async (args) => (await import('./test.mjs')).test(args),
  uv: async (args) => (await import('./uv.mjs')).runInteractively(args),
  vendor: async () => (await import('./requirements.mjs')).vendor(),
};

process.env.WRANGLER_SEND_METRICS ??= 'false';

let isEnding = false;
async function end(number) {
  if (isEnding) return;
  isEnding = true;
  await stopAll();
  process.exit(128 + number);
}
async function leave(code) {
  await stopAll();
  if (!isEnding) process.exit(code);
}
process.on('SIGHUP', () => end(1));
process.on('SIGINT', () => end(2));
process.on('SIGTERM', () => end(15));
whenParentEnds(() => end(15));

const [command, ...args] = process.argv.slice(2);
try {
  if (command !== 'uv' && parseInt(process.versions.node) < 24) {
    throw new Error('this needs Node 24, which `npm install` brings, and `npm run` uses');
  }
  const code = await COMMANDS[command](args);
  await leave(typeof code === 'number' ? code : 0);
} catch (error) {
  if (!isEnding) console.error(`error: ${error.message}`);
  await leave(1);
}
