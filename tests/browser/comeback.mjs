// Watches a user in a real browser, by clients that others wrote, while gateways behind a balancer come and go.
//
//   node comeback.mjs BASE_URL CHROMIUM RECIPES PACKAGES
//
// RECIPES is a directory of modules that each export `watch(id, told)`: PACKAGES, a node_modules, has what they import.
// A line `NAME` on stdin is answered, when every client has seen that name, by a line of JSON on stdout:
// {client: {events, ended, closes}}, or {"missing": …} after 45 s. The end of stdin ends it.
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { openPage } from './page.mjs';

const [baseUrl, executablePath, recipes, packages] = process.argv.slice(2);
const PATIENCE = 45_000;

const { browser, page } = await openPage(executablePath, baseUrl, recipes, packages);

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
