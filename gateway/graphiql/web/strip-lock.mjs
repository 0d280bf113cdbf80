// Takes out of a package-lock.json what names a host (funding pages, registries); the integrity hashes stay.
// `npm run lock` calls it after every change of the dependencies.
import { readFileSync, writeFileSync } from 'node:fs';

for (const path of process.argv.slice(2)) {
  const lock = JSON.parse(readFileSync(path, 'utf8'));
  for (const entry of Object.values(lock.packages)) {
    delete entry.funding;
    delete entry.resolved;
  }
  writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
}
