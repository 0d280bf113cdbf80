// Packs the package as npm would publish it: `node pack.mjs FOLDER [NPM…]`, with dist/ built before. NPM is the
// command of npm, where that is not on PATH.
import { execFileSync } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(dirname(fileURLToPath(import.meta.url)));
const [folder, npm = 'npm', ...first] = process.argv.slice(2);
execFileSync(npm, [...first, 'pack', '--silent', '--pack-destination', folder], { cwd: here, stdio: ['ignore', 'ignore', 'inherit'] });
