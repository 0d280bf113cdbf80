// Packs the package as npm would publish it: `node pack.mjs FOLDER`, with dist/ built before.
import { execFileSync } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(dirname(fileURLToPath(import.meta.url)));
execFileSync('npm', ['pack', '--silent', '--pack-destination', process.argv[2]], { cwd: here, stdio: ['ignore', 'ignore', 'inherit'] });
