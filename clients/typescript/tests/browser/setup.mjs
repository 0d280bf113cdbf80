// Chromium, pages of many origins, and the gateway of the other tests behind real sockets.
//
// The environment says where the browser is (CHROMIUM), in which folder playwright-core is installed (PLAYWRIGHT), and
// where a gateway is that wants tokens (GATEWAY), of which secret (SECRET).
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from 'ws';
import { Gateway } from '../node/gateway.mjs';

const { CHROMIUM, PLAYWRIGHT } = process.env;
const { chromium } = createRequire(join(PLAYWRIGHT, 'package.json'))('playwright-core');
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const FLAGS = ['--headless=new', '--no-sandbox', '--no-first-run', '--disable-gpu', '--disable-dev-shm-usage'];

export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Waits until something is the case, and returns it. */
export async function until(condition, milliseconds = 10_000) {
  for (const end = Date.now() + milliseconds; ; await sleep(10)) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`never: ${condition}`);
  }
}

/** A browser as people have it: pages are hidden, throttled, frozen and kept for going back, as Playwright's own are not. */
export class Browser {
  static async start() {
    const profile = mkdtempSync(join(tmpdir(), 'userline-chromium-'));
    const child = spawn(CHROMIUM, [...FLAGS, '--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const address = await new Promise((resolve, reject) => {
      let said = '';
      child.stderr.on('data', (data) => {
        said += data;
        const found = /ws:\/\/\S+/.exec(said);
        if (found) resolve(found[0]);
      });
      child.on('exit', () => reject(new Error(said)));
    });
    const browser = new Browser();
    Object.assign(browser, { profile, child, playwright: await chromium.connectOverCDP(address, { noDefaults: true }) });
    [browser.context] = browser.playwright.contexts();
    return browser;
  }

  async page(address) {
    const page = await this.context.newPage();
    page.on('pageerror', (error) => process.stderr.write(`${error.stack ?? error}\n`));
    page.cdp = await this.context.newCDPSession(page);
    page.setDefaultTimeout(20_000);
    await page.goto(address);
    return page;
  }

  async close() {
    const ended = new Promise((resolve) => this.child.on('exit', resolve));
    await (await this.playwright.newBrowserCDPSession()).send('Browser.close').catch(() => undefined);
    await ended;
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

/** Serves the package, as it is built, and pages, at any name under localhost; sockets lead to the gateway of that name. */
export class Site {
  gateways = new Map();
  files = new Map();

  static async start() {
    const site = new Site();
    const sockets = new WebSocketServer({ noServer: true, handleProtocols: (offered) => [...offered][0] });
    site.server = createServer((request, response) => site.serve(request, response));
    site.server.on('upgrade', (request, socket, head) => {
      const gateway = site.gateway(request.headers.host.split('.')[0]);
      sockets.handleUpgrade(request, socket, head, (end) => connect(gateway, end));
    });
    await new Promise((resolve) => site.server.listen(0, '127.0.0.1', resolve));
    return site;
  }

  /** The gateway of an origin. */
  gateway(name) {
    let gateway = this.gateways.get(name);
    if (!gateway) this.gateways.set(name, (gateway = new Gateway()));
    return gateway;
  }

  address(name, path = 'blank.html') {
    return `http://${name}.localhost:${this.server.address().port}/${path}`;
  }

  serve(request, response) {
    const path = decodeURIComponent(new URL(request.url, 'http://x').pathname).slice(1);
    const script = /^(userline\w*)\/(\w+\.js)$/.exec(path);
    const page = this.files.get(path) ?? (path === 'blank.html' ? '<!doctype html><title>A page</title>' : undefined);
    response.setHeader('Access-Control-Allow-Origin', '*');
    response.setHeader('Content-Type', script ? 'text/javascript' : 'text/html; charset=utf-8');
    if (script) response.end((this.change ?? ((_, text) => text))(script[1], readFileSync(join(root, 'dist', script[2]), 'utf8')));
    else if (page === undefined) response.writeHead(404).end();
    else response.end(page);
  }

  close() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }
}

/** Lets a gateway in memory speak through a real socket. */
function connect(gateway, socket) {
  const client = new gateway.WebSocket('ws://gateway/', 'graphql-transport-ws');
  client.onmessage = ({ data }) => socket.send(data);
  client.onclose = ({ code, reason }) => (code === 1006 ? socket.terminate() : socket.close(code, reason));
  socket.on('message', (data) => client.send(String(data)));
  socket.on('close', () => client.close());
  socket.on('error', () => client.close());
}

/** Runs in a page: opens a session that watches users, and notes what it is shown. */
export async function watchInPage({ url, ids, shared, options, folder }) {
  const { createSession } = await import(`${folder}/index.js`);
  const { SharedWebSocket } = await import(`${folder}/tabs.js`);
  const session = createSession({ url, fresh: true, ...(shared && { WebSocket: SharedWebSocket }), ...options });
  const watch = { session, shown: {}, wrong: [], states: {} };
  (globalThis.watches ??= []).push(watch);
  const subscriptions = ids.map((id) => {
    const shown = (watch.shown[id] = []);
    return session.user(id).subscribe((user) => {
      const last = shown.at(-1)?.user;
      if (last && user && BigInt(user.version) <= BigInt(last.version)) watch.wrong.push([id, last.version, user.version]);
      shown.push({ user, at: Date.now() });
    });
  });
  for (const [index, id] of ids.entries()) subscriptions[index].terminated.then((state) => (watch.states[id] = state));
  await Promise.all(subscriptions.map(({ connected }) => connected));
}

/** The names that a page was shown of a user. */
export const namesIn = (page, id, which = 0) =>
  page.evaluate(([user, index]) => globalThis.watches[index].shown[user].map((each) => each.user?.name), [id, which]);

/** What a page was shown that is older than what it was shown before, and subscriptions that have failed. */
export const faultsIn = (page) =>
  page.evaluate(() =>
    (globalThis.watches ?? []).flatMap(({ wrong, states }) => [...wrong, ...Object.entries(states).filter(([, { type }]) => type === 'error')]),
  );

/** What a page has to say when a test has failed. */
const stateOf = (page) =>
  page
    .evaluate(async () => ({
      at: location.href,
      wasNotKept: performance.getEntriesByType('navigation')[0].notRestoredReasons,
      held: (await navigator.locks?.query())?.held.map(({ name }) => name),
      watches: (globalThis.watches ?? []).map(({ session, shown, states }) => [
        session.status,
        states,
        Object.entries(shown).map(([id, all]) => [id, all.at(-1)?.user?.name]),
      ]),
    }))
    .catch(String);

let browser, site;
before(async () => {
  [browser, site] = await Promise.all([Browser.start(), Site.start()]);
});
after(async () => {
  await browser.close();
  await site.close();
});

/** The browser's emulation of a network that is away, for all its pages. */
export const setOffline = (isOffline) => browser.context.setOffline(isOffline);

/** Changes what the site serves as `/FOLDER/NAME.js`, of which FOLDER begins with `userline`. */
export const changeScripts = (change) => (site.change = change);

/** Makes a test with a gateway and pages of an origin of its own. Nothing may go back or fail in them. */
export function inPages(title, run) {
  test(title, async () => {
    const name = title.replace(/\W/g, '-').toLowerCase();
    const gateway = site.gateway(name);
    const opened = new Set();
    const address = (path) => site.address(name, path);
    const url = address('graphql').replace('http', 'ws');
    const open = async (path) => {
      const page = await browser.page(path?.startsWith('http:') ? path : address(path));
      opened.add(page);
      page.on('close', () => opened.delete(page));
      page.on('crash', () => opened.delete(page));
      return page;
    };
    const serve = (path, text) => site.files.set(path, text);
    const watch = (page, more) => page.evaluate(watchInPage, { url, ids: ['a'], folder: address('userline'), ...more });
    try {
      await run({ gateway, open, url, address, serve, watch });
      for (const page of opened) assert.deepEqual(await faultsIn(page), []);
    } catch (error) {
      for (const page of opened) process.stderr.write(`${JSON.stringify(await Promise.race([stateOf(page), sleep(1000)]))}\n`);
      throw error;
    } finally {
      await Promise.all([...opened].map((page) => page.close()));
    }
  });
}
