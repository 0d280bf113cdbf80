// Makes dist/: each entry as both kinds of module, and the types of both. Names that begin with `_` are nobody's business
// and are made short, the same way everywhere, so that bundlers of applications find little left to do.
import { build } from 'esbuild';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, 'dist');
/** What package.json exports: an entry carries what it imports, but no other entry. */
const ENTRIES = ['index', 'tabs'];
/** What is loaded with `import()` where it is needed: what stands in for sockets. */
const LATER = ['stream'];
/** Files of types that the types of entries import. */
const TYPES = ['types', 'errors'];

rmSync(dist, { recursive: true, force: true });
let mangleCache = {};
for (const name of [...ENTRIES, ...LATER]) {
  for (const [format, extension] of LATER.includes(name) ? [['esm', 'js']] : [['esm', 'js'], ['cjs', 'cjs']]) {
    const made = await build({
      entryPoints: [join(here, `src/${name}.ts`)],
      outfile: join(dist, `${name}.${extension}`),
      bundle: true,
      external: [...ENTRIES, ...LATER].map((other) => `./${other}.js`),
      format,
      target: 'es2022',
      platform: 'neutral',
      mangleProps: /^_[a-zA-Z]/,
      mangleCache,
      legalComments: 'none',
      logLevel: 'warning',
    });
    ({ mangleCache } = made);
  }
}
const types = join(dist, 'types');
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
execFileSync(process.execPath, [tsc, '-p', here, '--emitDeclarationOnly', '--outDir', types], { stdio: 'inherit' });
for (const name of [...ENTRIES, ...TYPES]) {
  const text = readFileSync(join(types, `${name}.d.ts`), 'utf8');
  writeFileSync(join(dist, `${name}.d.ts`), text);
  writeFileSync(join(dist, `${name}.d.cts`), text.replace(/'\.\/(\w+)\.js'/g, "'./$1.cjs'").replace(/"\.\/(\w+)\.js"/g, '"./$1.cjs"'));
}
rmSync(types, { recursive: true });
