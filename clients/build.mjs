// Makes the dist/ of a package: each entry as both kinds of module, and the types of both. Names that begin with `_` are
// nobody's business and are made short: see names.mjs. Another version of Node may choose other letters.
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { lettersFor, privateNames } from './names.mjs';

/**
 * Builds the package in whose folder a script is (`url` is its `import.meta.url`), with the tools of that package.
 *
 * `entries` is what package.json exports: an entry carries what it imports, but no other entry. `later` is loaded with
 * `import()` where it is needed. `types` are the files that the types of entries import. `external` are packages that are
 * imported as they are, and `banner` is the first line of each file.
 */
export async function make(url, { entries, later = [], types, external = [], banner = '' }) {
  const here = dirname(fileURLToPath(url));
  const dist = join(here, 'dist');
  const require = createRequire(url);
  const { build } = require('esbuild');
  rmSync(dist, { recursive: true, force: true });
  const options = (name) => ({
    entryPoints: [join(here, `src/${name}.ts`)],
    bundle: true,
    external: [...[...entries, ...later].map((other) => `./${other}.js`), ...external],
    target: 'es2022',
    platform: 'neutral',
    mangleProps: /^_[a-zA-Z]/,
    legalComments: 'none',
    logLevel: 'warning',
  });

  // As bundlers of applications make them.
  const names = privateNames(join(here, 'src'));
  const mark = (name) => `MARK${name}`;
  const marked = Object.fromEntries(Array.from(names.keys(), (name) => [name, mark(name)]));
  const programs = [];
  for (const name of [...entries, ...later]) {
    const { outputFiles } = await build({ ...options(name), format: 'esm', minify: true, write: false, mangleCache: { ...marked } });
    programs.push(outputFiles[0].text);
  }
  const mangleCache = lettersFor(names, programs, mark);

  for (const name of [...entries, ...later]) {
    for (const [format, extension] of later.includes(name) ? [['esm', 'js']] : [['esm', 'js'], ['cjs', 'cjs']]) {
      await build({
        ...options(name),
        outfile: join(dist, `${name}.${extension}`),
        format,
        mangleCache,
        minifySyntax: true,
        banner: { js: banner },
      });
    }
  }
  const made = join(dist, 'types');
  const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc');
  execFileSync(process.execPath, [tsc, '-p', here, '--emitDeclarationOnly', '--outDir', made], { stdio: 'inherit' });
  for (const name of [...entries, ...types]) {
    const text = readFileSync(join(made, `${name}.d.ts`), 'utf8');
    writeFileSync(join(dist, `${name}.d.ts`), text);
    writeFileSync(join(dist, `${name}.d.cts`), text.replace(/(['"])\.\/(\w+)\.js\1/g, '$1./$2.cjs$1'));
  }
  rmSync(made, { recursive: true });
}
