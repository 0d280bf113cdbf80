// Watches a user in a real browser, by clients that others wrote, while gateways behind a balancer come and go.
//
//   node comeback.mjs BASE_URL CHROMIUM RECIPES PACKAGES
//
// RECIPES is a directory of modules that each export `watch(id, told)`: PACKAGES, a node_modules, has what they import.
// A line `NAME` on stdin is answered, when every client has seen that name, by a line of JSON on stdout:
// {client: {events, ended, closes}}, or {"missing": …} after 45 s. The end of stdin ends it.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const [baseUrl, executablePath, recipes, packages] = process.argv.slice(2);
const PATIENCE = 45_000;
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

function locate(specifier) {
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
function served(path) {
  return readFileSync(path, 'utf8').replace(IMPORT, (whole, keyword, quote, specifier) => {
    if (path.startsWith(packages) || !specifier.startsWith('.')) {
      try {
        const found = specifier.startsWith('.') ? file(resolve(dirname(path), specifier)) : locate(specifier);
        return `${keyword}${quote}/packages/${relative(packages, found)}${quote}`;
      } catch {
        return whole; // in a comment, or for Node alone
      }
    }
    return whole;
  });
}

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
  return route.fulfill({ contentType: 'text/javascript', body: served(join(recipes, path)) });
});
await page.route('**/packages/**', (route) => {
  const path = join(packages, decodeURIComponent(new URL(route.request().url()).pathname.replace('/packages/', '')));
  return route.fulfill({ contentType: 'text/javascript', body: served(path) });
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

const names = readdirSync(recipes)
  .filter((name) => name.startsWith('watch-'))
  .map((name) => name.replace('watch-', '').replace('.js', ''));
await page.evaluate(async (all) => {
  globalThis.clients = {};
  for (const name of all) {
    const seen = (globalThis.clients[name] = { events: [], ended: null });
    const { watch } = await import(`/recipes/watch-${name}.js`);
    watch('alice', {
      next: (result) => seen.events.push(result?.data?.userChanged?.name ?? JSON.stringify(result)),
      error: (error) => (seen.ended ??= `error ${error?.code ?? ''} ${error?.message ?? JSON.stringify(error)}`),
      complete: () => (seen.ended ??= 'complete'),
    });
  }
}, names);

const require = createRequire(pathToFileURL(join(packages, 'here.js')));
const legacy = legacyClient();
function legacyClient() {
  const { SubscriptionClient } = require('subscriptions-transport-ws');
  const { WebSocket } = require('ws');
  const seen = { events: [], ended: null };
  const url = `${baseUrl.replace('http', 'ws')}/graphql`;
  const connectionParams = async () => ({ authToken: await (await fetch(process.env.TOKENS)).text() });
  const client = new SubscriptionClient(url, { reconnect: true, minTimeout: 10_000, connectionParams }, WebSocket);
  client.request({ query: 'subscription { userChanged(id: "alice") { name } }' }).subscribe({
    next: ({ data }) => seen.events.push(data?.userChanged?.name),
    error: (error) => (seen.ended ??= `error ${error?.message}`),
    complete: () => (seen.ended ??= 'complete'),
  });
  return seen;
}

async function report() {
  const told = await page.evaluate(() => [globalThis.clients, globalThis.closes]);
  const all = { ...told[0], legacy };
  for (const [name, seen] of Object.entries(all)) {
    seen.closes = told[1][name.startsWith('default') ? name : 'recipes'] ?? [];
  }
  return all;
}

for await (const line of createInterface({ input: process.stdin })) {
  const deadline = Date.now() + PATIENCE;
  let all = await report();
  const missing = () => Object.keys(all).filter((name) => all[name].events.at(-1) !== line);
  while (missing().length && Date.now() < deadline) {
    await new Promise((next) => setTimeout(next, 100));
    all = await report();
  }
  process.stdout.write(`${JSON.stringify({ missing: missing(), clients: all })}\n`);
}
await browser.close();
process.exit(0);
