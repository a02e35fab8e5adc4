// npm run check: what a deploy would upload, for each environment of wrangler.toml.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { environments } from './wrangler.mjs';
import { vendor } from './requirements.mjs';

const WRANGLER = path.resolve('node_modules/wrangler/bin/wrangler.js');

/** Has wrangler build each environment without deploying. Resolves to an exit code. */
export async function check() {
  await vendor();
  for (const name of environments()) {
    // An empty name is the top level, asked for by name so that wrangler need not guess.
    const args = [WRANGLER, 'deploy', '--dry-run', '--env', name ?? ''];
    const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
    if (status !== 0) return 1;
  }
  return 0;
}
