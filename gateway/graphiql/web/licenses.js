// Writes the licences of the packages that really are in the bundle, workers included.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

const NOTICE = /^(licen[cs]e|notice|thirdpartynotices)/i;

/** The directory of the package that a module belongs to, or null for the page's own modules. */
function packageOf(moduleId) {
  const file = moduleId.replace(/^\0/, '').replace(/\?.*$/, '');
  if (!file.includes('/node_modules/')) {
    return null;
  }
  for (let directory = dirname(file); !directory.endsWith('node_modules'); directory = dirname(directory)) {
    const manifest = join(directory, 'package.json');
    if (existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).version) {
      return directory;
    }
  }
  return null;
}

function describe(directory) {
  const { name, version, license, author } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
  const by = typeof author === 'string' ? author : author?.name;
  const notices = readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isFile() && NOTICE.test(entry.name))
    .map((entry) => readFileSync(join(directory, entry.name), 'utf8').replaceAll('\r\n', '\n').trim());
  return [`${name} ${version} (${license ?? 'see below'})${by ? ` by ${by}` : ''}`, ...notices].join('\n\n');
}

export function thirdPartyLicenses(fileName) {
  const directories = new Set();
  return {
    collect: () => ({
      name: 'userline:collect-licenses',
      generateBundle(_, bundle) {
        for (const output of Object.values(bundle)) {
          for (const id of output.moduleIds ?? []) {
            const directory = packageOf(id);
            if (directory) {
              directories.add(directory);
            }
          }
        }
      },
    }),
    write: () => ({
      name: 'userline:write-licenses',
      enforce: 'post',
      generateBundle() {
        const texts = [...directories].map(describe).sort();
        const rule = `\n\n${'-'.repeat(80)}\n\n`;
        const source = `These packages are part of userline's GraphiQL page.${rule}${[...new Set(texts)].join(rule)}\n`;
        this.emitFile({ type: 'asset', fileName, source });
      },
    }),
  };
}
