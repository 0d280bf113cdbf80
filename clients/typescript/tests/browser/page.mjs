// A session in a page of a real browser.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { inPages, namesIn, setOffline, sleep, until } from './setup.mjs';

/** How soon the browser is to try, in milliseconds, where the client does so at once. */
const AT_ONCE = 100;

/** Notes events of the page, with the time at which they came. */
const noteEvents = (page) =>
  page.evaluate(() => {
    globalThis.events = [];
    const note = (event) => globalThis.events.push({ type: event.type, isHidden: document.hidden, isPersisted: event.persisted, at: Date.now() });
    for (const type of ['pageshow', 'pagehide', 'online']) addEventListener(type, note);
    for (const type of ['visibilitychange', 'freeze', 'resume']) document.addEventListener(type, note);
  });

const eventIn = (page, type) => page.evaluate((wanted) => globalThis.events?.findLast((event) => event.type === wanted), type).catch(() => undefined);

inPages('a hidden page', async ({ gateway, open, watch }) => {
  gateway.put('a', { name: 'first' });
  const page = await open();
  await watch(page);
  await noteEvents(page);
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
  const before = gateway.attempts.length;
  await page.bringToFront();
  await until(() => gateway.attempts.length > before);
  const { isHidden, at } = await eventIn(page, 'visibilitychange');
  assert.equal(isHidden, false);
  assert.ok(gateway.attempts.at(-1) - at < AT_ONCE, `${gateway.attempts.at(-1) - at} ms`);
  await until(async () => (await namesIn(page, 'a')).at(-1) === 'fourth');
  assert.deepEqual(await namesIn(page, 'a'), ['first', 'second', 'third', 'fourth']);
});

inPages('a page without a network', async ({ gateway, open, watch }) => {
  gateway.put('a', { name: 'first' });
  const page = await open();
  await watch(page);
  await noteEvents(page);
  await setOffline(true);
  gateway.cut();
  gateway.put('a', { name: 'second' });
  await sleep(1500);
  assert.equal(gateway.attempts.length, 1);
  assert.equal(await page.evaluate(() => globalThis.watches[0].session.status), 'reconnecting');
  await setOffline(false);
  await until(() => gateway.attempts.length > 1);
  const delay = gateway.attempts.at(-1) - (await eventIn(page, 'online')).at;
  assert.ok(delay < AT_ONCE, `${delay} ms`);
  await until(async () => (await namesIn(page, 'a')).at(-1) === 'second');
});

inPages('a page that is gone back to', async ({ gateway, open, watch, address }) => {
  gateway.put('a', { name: 'first' });
  const page = await open();
  await watch(page);
  await noteEvents(page);
  await page.goto(address('blank.html?other'));
  await until(() => !gateway.live.length);
  gateway.put('a', { name: 'second' });
  const attempts = gateway.attempts.length;
  await page.evaluate(() => history.back());
  await until(() => gateway.attempts.length > attempts);
  const shown = await until(() => eventIn(page, 'pageshow'));
  assert.equal(shown.isPersisted, true);
  assert.ok(gateway.attempts.at(-1) - shown.at < AT_ONCE, `${gateway.attempts.at(-1) - shown.at} ms`);
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
