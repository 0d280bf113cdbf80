// A session in a page of a real browser.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { inPages, namesIn, setOffline, sleep, until } from './setup.mjs';

/** How soon the browser is to try, in milliseconds, where the client does so at once. */
const AT_ONCE = 100;

/** Notes events of the page, and when it opens sockets. */
const note = (page) =>
  page.evaluate(() => {
    globalThis.events = [];
    globalThis.attempts = [];
    const noteEvent = ({ type, persisted }) => globalThis.events.push({ type, isHidden: document.hidden, isPersisted: persisted, at: Date.now() });
    // Before the client, which listens likewise.
    for (const type of ['pageshow', 'pagehide', 'online', 'visibilitychange', 'freeze', 'resume']) addEventListener(type, noteEvent, true);
    globalThis.WebSocket = class extends WebSocket {
      constructor(...given) {
        super(...given);
        globalThis.attempts.push(Date.now());
      }
    };
  });

/** Checks that a page has opened a socket at once when an event came. */
async function seeThatItCame(page, { at }) {
  const delay = (await until(() => page.evaluate((since) => globalThis.attempts.find((each) => each >= since), at))) - at;
  assert.ok(delay < AT_ONCE, `${delay} ms`);
}

const eventIn = (page, type) => page.evaluate((wanted) => globalThis.events?.findLast((event) => event.type === wanted), type).catch(() => undefined);

inPages('a hidden page', async ({ gateway, open, watch }) => {
  gateway.put('a', { name: 'first' });
  const page = await open();
  await note(page);
  await watch(page);
  const front = await open();
  await watch(front, { ids: [] });
  await front.bringToFront();
  await until(async () => (await eventIn(page, 'visibilitychange'))?.isHidden);
  // Its timers go off once a second from now on; what comes is shown as it comes.
  const ticks = page.evaluate(async () => {
    const times = [];
    for (let count = 0; count < 2; count++) times.push(await new Promise((resolve) => setTimeout(() => resolve(Date.now()), 50)));
    return times.at(-1) - times[0];
  });
  assert.ok((await ticks) > 500);
  gateway.set('a', { name: 'second' });
  await until(async () => (await namesIn(page, 'a')).at(-1) === 'second', 1000);
  gateway.cut();
  gateway.put('a', { name: 'third' });
  await until(async () => (await namesIn(page, 'a')).at(-1) === 'third');

  gateway.cut(1012, 'retry after 60 s');
  gateway.put('a', { name: 'fourth' });
  await sleep(200);
  await page.bringToFront();
  const shown = await until(async () => {
    const event = await eventIn(page, 'visibilitychange');
    return !event.isHidden && event;
  });
  await seeThatItCame(page, shown);
  await until(async () => (await namesIn(page, 'a')).at(-1) === 'fourth');
  assert.deepEqual(await namesIn(page, 'a'), ['first', 'second', 'third', 'fourth']);
});

inPages('a page without a network', async ({ gateway, open, watch }) => {
  gateway.put('a', { name: 'first' });
  const page = await open();
  await note(page);
  await watch(page);
  await setOffline(true);
  gateway.cut();
  gateway.put('a', { name: 'second' });
  await sleep(1500);
  assert.equal(gateway.sockets.length, 1);
  assert.equal(await page.evaluate(() => globalThis.watches[0].session.status), 'reconnecting');
  await setOffline(false);
  await seeThatItCame(page, await until(() => eventIn(page, 'online')));
  await until(async () => (await namesIn(page, 'a')).at(-1) === 'second');
});

inPages('a page that is gone back to', async ({ gateway, open, watch, address }) => {
  gateway.put('a', { name: 'first' });
  const page = await open();
  await note(page);
  await watch(page);
  await page.goto(address('blank.html?other'));
  await until(() => !gateway.live.length);
  gateway.put('a', { name: 'second' });
  await page.evaluate(() => history.back()).catch(() => undefined);
  const shown = await until(() => eventIn(page, 'pageshow'));
  assert.equal(shown.isPersisted, true);
  await seeThatItCame(page, await eventIn(page, 'resume')); // which comes before
  await until(async () => (await namesIn(page, 'a')).at(-1) === 'second');
  assert.deepEqual(await namesIn(page, 'a'), ['first', 'second']);
});

inPages('a page that was frozen', async ({ gateway, open, watch }) => {
  gateway.put('a', { name: 'first' });
  const page = await open();
  await watch(page);
  const front = await open();
  await watch(front, { ids: [] });
  await page.cdp.send('Page.setWebLifecycleState', { state: 'frozen' });
  await sleep(500);
  gateway.set('a', { name: 'second' });
  await sleep(500);
  await page.cdp.send('Page.setWebLifecycleState', { state: 'active' });
  await until(async () => (await namesIn(page, 'a')).at(-1) === 'second');
});

inPages('a machine that has slept', async ({ gateway, open, watch }) => {
  gateway.put('a', { name: 'first' });
  const page = await open();
  await watch(page);
  const [before] = gateway.sockets;
  await page.evaluate(() => {
    const now = Date.now;
    Date.now = () => now() + 3_600_000; // while the monotonic clock stood still
  });
  await until(() => gateway.sockets.length > 1, 3000);
  assert.ok(before.isClosed);
  gateway.set('a', { name: 'second' });
  await until(async () => (await namesIn(page, 'a')).at(-1) === 'second');
});

const docs = readFileSync(new URL('../../../../docs/browser.md', import.meta.url), 'utf8');
for (const [, page, name] of docs.matchAll(/^```html\n(<!-- (\S+) -->\n[^]*?)^```$/gm)) {
  inPages(`the page ${name} of the docs`, async ({ gateway, open, url, serve }) => {
    serve(name, page.replaceAll('wss://users.example.com/graphql', url));
    const shown = await open(name);
    const text = (wanted) => until(async () => (await shown.textContent('#name')) === wanted);
    await text('There is no Alice.');
    gateway.set('alice', { name: 'Alice' });
    await text('Alice');
    gateway.cut();
    gateway.put('alice', { name: 'Alice B.' });
    await text('Alice B.');
  });
}
