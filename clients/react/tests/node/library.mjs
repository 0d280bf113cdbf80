// The package, and the React that it is tested with: REACT is 18 or 19.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const major = Number(process.env.REACT ?? 19);
const folder = major === 18 ? join(root, 'tests', 'react-18') : root;
export const require = createRequire(join(folder, 'package.json'));

/** Where the package is found by the React of a folder: of its own, as it was built; of another, a copy beside it. */
function placed() {
  const built = join(root, 'dist', 'index.js');
  if (folder === root) return built;
  const text = readFileSync(built);
  const copy = join(folder, 'node_modules', `.userline-react-${createHash('sha256').update(text).digest('hex').slice(0, 16)}.mjs`);
  if (!existsSync(copy)) {
    writeFileSync(`${copy}.${process.pid}`, text);
    renameSync(`${copy}.${process.pid}`, copy);
  }
  return copy;
}

export const React = require('react');
if (Number.parseInt(React.version) !== major) throw new Error(`this is React ${React.version}`);
export const library = await import(pathToFileURL(placed()).href);
