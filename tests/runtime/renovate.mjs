// What Renovate would update in the current folder: its own extraction and its own rules, without a network.
//
//   node renovate.mjs FOLDER    the folder that npm installed Renovate in
//
// Prints JSON: by file, each dependency by name, and whether Renovate updates it.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const DIST = path.join(process.argv[2], 'node_modules/renovate/dist');
const load = (file) => import(pathToFileURL(path.join(DIST, file)));

const { GlobalConfig } = await load('config/global.js');
GlobalConfig.set({ localDir: process.cwd(), cacheDir: process.env.RENOVATE_CACHE_DIR });
const { applyPackageRules } = await load('util/package-rules/index.js');
const { getConfig } = await load('config/defaults.js');
const { default: JSON5 } = await import(
  pathToFileURL(createRequire(path.join(DIST, 'x.js')).resolve('json5')),
);

const FILES = [
  ['copier', '.copier-answers.yml'],
  ['github-actions', '.github/workflows/ci.yml'],
  ['github-actions', '.github/workflows/update.yml'],
  ['npm', 'package.json'],
  ['pep621', 'pyproject.toml'],
  ['pip_requirements', 'requirements/test.txt'],
  ['pip_requirements', 'requirements/worker.txt'],
];

const { packageRules } = JSON5.parse(await readFile('renovate.json5', 'utf8'));
const found = {};
for (const [manager, packageFile] of FILES) {
  const file = manager === 'npm' ? 'npm/extract/index.js' : `${manager}/extract.js`;
  const { extractPackageFile } = await load(`modules/manager/${file}`);
  const content = await readFile(packageFile, 'utf8');
  const extracted = await extractPackageFile(content, packageFile, getConfig());
  found[packageFile] = {};
  for (const dep of extracted?.deps ?? []) {
    const config = { ...dep, manager, packageFile, packageRules, enabled: true };
    const { enabled } = await applyPackageRules(config);
    found[packageFile][dep.depName ?? dep.depType] = { ...dep, enabled };
  }
}
console.log(JSON.stringify(found));
