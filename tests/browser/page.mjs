// A page in a real browser, in which modules run as they are written, with the packages that they import.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { chromium } from 'playwright-core';

const CONDITIONS = new Set(['browser', 'module', 'import', 'production', 'default']);

/** What a package's exports say, as bundlers for browsers read them. */
function chosen(target) {
  if (typeof target === 'string') return target;
  if (!target) return undefined;
  for (const [condition, value] of Object.entries(target)) {
    const found = CONDITIONS.has(condition) ? chosen(value) : undefined;
    if (found) return found;
  }
  return undefined;
}

function file(path) {
  const candidates = [path, `${path}.mjs`, `${path}.js`, join(path, 'index.mjs'), join(path, 'index.js')];
  const found = candidates.find((candidate) => existsSync(candidate) && statSync(candidate).isFile());
  if (!found) throw new Error(`there is no ${path}`);
  return found;
}

function locate(packages, specifier) {
  const parts = specifier.split('/');
  const name = parts.splice(0, specifier.startsWith('@') ? 2 : 1).join('/');
  const subpath = ['.', ...parts].join('/');
  const folder = join(packages, name);
  const description = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const exported = description.exports?.[subpath] ?? (subpath === '.' ? description.exports : undefined);
  const target = chosen(exported) ?? (subpath === '.' ? (description.module ?? description.main) : subpath);
  return file(join(folder, target));
}

const IMPORT = /(\bfrom\s*|\bimport\s*\(?\s*)(["'])([^"'\n]+)\2/g;

/** The text of a module whose imports are addresses. */
function served(packages, path) {
  return readFileSync(path, 'utf8').replace(IMPORT, (whole, keyword, quote, specifier) => {
    if (path.startsWith(packages) || !specifier.startsWith('.')) {
      try {
        const found = specifier.startsWith('.') ? file(resolve(dirname(path), specifier)) : locate(packages, specifier);
        return `${keyword}${quote}/packages/${relative(packages, found)}${quote}`;
      } catch {
        return whole; // in a comment, or for Node alone
      }
    }
    return whole;
  });
}

/**
 * Opens a page of a gateway's own origin, which has the modules of a folder at `/recipes/`. PACKAGES, a node_modules, has
 * what they import. The page's `closes` has the codes of the sockets that were closed, by the `client` in their address.
 */
export async function openPage(executablePath, baseUrl, recipes, packages) {
  const browser = await chromium.launch({
    executablePath,
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  });
  const page = await browser.newPage();
  page.on('console', (message) => process.stderr.write(`${message.text()}\n`));
  page.on('pageerror', (error) => process.stderr.write(`${error.stack ?? error}\n`));
  await page.route('**/recipes/**', (route) => {
    const path = new URL(route.request().url()).pathname.replace('/recipes/', '');
    return route.fulfill({ contentType: 'text/javascript', body: served(packages, join(recipes, path)) });
  });
  await page.route('**/packages/**', (route) => {
    const path = join(packages, decodeURIComponent(new URL(route.request().url()).pathname.replace('/packages/', '')));
    return route.fulfill({ contentType: 'text/javascript', body: served(packages, path) });
  });
  await page.addInitScript(() => {
    globalThis.process = { env: { NODE_ENV: 'production' } };
    globalThis.closes = {};
    // Sockets are told apart by who opened them: each module says its name in the address.
    const Native = globalThis.WebSocket;
    globalThis.WebSocket = class extends Native {
      constructor(url, ...more) {
        super(url, ...more);
        const name = new URL(url).searchParams.get('client');
        this.addEventListener('close', ({ code }) => (globalThis.closes[name] ??= []).push(code));
      }
    };
  });
  await page.goto(`${baseUrl}/healthz`); // a page of the gateway's own origin, and of this machine's network
  return { browser, page };
}
