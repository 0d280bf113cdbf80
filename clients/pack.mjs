// Packs the package in this folder as npm would publish it: `node ../pack.mjs FOLDER [NPM…]`, with dist/ built before. NPM
// is the command of npm, where that is not on PATH.
import { execFileSync } from 'node:child_process';

const [folder, npm = 'npm', ...first] = process.argv.slice(2);
execFileSync(npm, [...first, 'pack', '--silent', '--pack-destination', folder], { stdio: ['ignore', 'ignore', 'inherit'] });
