// Makes dist/: one file of each kind of module, and the types of both. Names that begin with `_` are nobody's business
// and are made short, so that bundlers of applications find little left to do.
import { build } from 'esbuild';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, 'dist');
const PUBLIC = ['index', 'types', 'errors'];

rmSync(dist, { recursive: true, force: true });
// What stands in for sockets is a file of its own, which is loaded where it is needed.
for (const [name, format, extension] of [['index', 'esm', 'js'], ['index', 'cjs', 'cjs'], ['stream', 'esm', 'js']]) {
  await build({
    entryPoints: [join(here, `src/${name}.ts`)],
    outfile: join(dist, `${name}.${extension}`),
    bundle: true,
    external: ['./stream.js'],
    format,
    target: 'es2022',
    platform: 'neutral',
    mangleProps: /^_[a-zA-Z]/,
    legalComments: 'none',
    logLevel: 'warning',
  });
}
const types = join(dist, 'types');
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
execFileSync(process.execPath, [tsc, '-p', here, '--emitDeclarationOnly', '--outDir', types], { stdio: 'inherit' });
for (const name of PUBLIC) {
  const text = readFileSync(join(types, `${name}.d.ts`), 'utf8');
  writeFileSync(join(dist, `${name}.d.ts`), text);
  writeFileSync(join(dist, `${name}.d.cts`), text.replace(/'\.\/(\w+)\.js'/g, "'./$1.cjs'").replace(/"\.\/(\w+)\.js"/g, '"./$1.cjs"'));
}
rmSync(types, { recursive: true });
