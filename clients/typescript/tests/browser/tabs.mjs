// Tabs of a real browser that share a socket.
import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import { changeScripts, inPages, namesIn, sleep, until } from './setup.mjs';

/** How soon another tab is to have taken over, with everything that is watched. */
const TAKEN_OVER = 2000;

const userToken = (sub, more = {}) =>
  `e30.${Buffer.from(JSON.stringify({ tokenType: 'user', sub, ...more })).toString('base64url')}.x`;

/** Opens tabs that watch `all`, and a user of their own each. The first one leads. */
async function openTabs({ gateway, open, watch }, count) {
  gateway.put('all', { name: 'all' });
  const openTab = async (number) => {
    gateway.put(`own-${number}`, { name: 'own' });
    const tab = await open();
    await watch(tab, { shared: true, ids: ['all', `own-${number}`] });
    return tab;
  };
  const leading = await openTab(0);
  return [leading, ...(await Promise.all(Array.from({ length: count - 1 }, (_, number) => openTab(number + 1))))];
}

/** Waits until tabs show the latest of what they watch, and returns how many milliseconds after `since` the last did. */
async function whole(gateway, tabs, since, numbers) {
  const last = [];
  for (const [index, tab] of tabs.entries()) {
    for (const id of ['all', `own-${numbers?.[index] ?? index}`]) {
      const { name } = gateway.users.get(id);
      last.push(
        await until(() => tab.evaluate(([user, wanted]) => {
          const { user: shown, at } = globalThis.watches[0].shown[user].at(-1);
          return shown?.name === wanted && at;
        }, [id, name]).catch(() => false)),
      );
    }
  }
  return Math.max(...last) - since;
}

/** Waits until there is one socket, with an operation for each tab and no other. */
const onlyWhatIsWatched = (gateway, tabs) => until(() => gateway.live.length === 1 && gateway.live[0].operations.size === tabs, 6000);

inPages('five tabs', async (world) => {
  const { gateway } = world;
  const tabs = await openTabs(world, 5);
  assert.equal(gateway.sockets.length, 1);
  for (let number = 0; number < 5; number++) gateway.set(`own-${number}`, { name: `changed ${number}` });
  gateway.set('all', { name: 'changed' });
  await whole(gateway, tabs, 0);
  for (const [number, tab] of tabs.entries()) {
    const shown = await tab.evaluate(() => Object.keys(globalThis.watches[0].shown));
    assert.deepEqual(shown, ['all', `own-${number}`]);
    assert.deepEqual(await namesIn(tab, `own-${number}`), ['own', `changed ${number}`]);
  }
  // What a tab writes is seen in the others, and requests are answered to who has asked.
  const names = await Promise.all(
    tabs.map((tab, number) => tab.evaluate(async (name) => (await globalThis.watches[0].session.user('all').set({ name })).user.name, `by ${number}`)),
  );
  assert.deepEqual(names, tabs.map((_, number) => `by ${number}`));
  await whole(gateway, tabs, 0);
  assert.equal(gateway.sockets.length, 1);
  // A tab that closes its session ends what it has watched, and nothing else.
  const { operations } = gateway.socket;
  const before = operations.size;
  await tabs[3].evaluate(() => globalThis.watches[0].session.close());
  await until(() => operations.size === before - 1);
  gateway.set('all', { name: 'still' });
  tabs.splice(3, 1);
  await whole(gateway, tabs, 0, [0, 1, 2, 4]);
  assert.equal(gateway.sockets.length, 1);
});

/** How a tab that leads comes to its end, or as good as that. */
const ENDS = {
  'is closed': (tab) => tab.close(),
  'crashes': (tab) => void tab.cdp.send('Page.crash').catch(() => undefined),
  'is frozen': (tab) => tab.cdp.send('Page.setWebLifecycleState', { state: 'frozen' }),
  'is navigated away': (tab, { address }) => tab.goto(address('blank.html?other')),
  'is busy': (tab) => void tab.evaluate(() => setTimeout(() => {
    for (const end = Date.now() + 3000; Date.now() < end; );
  })),
  'closes its session': (tab) => tab.evaluate(() => globalThis.watches[0].session.close()),
};
const RETURNS = {
  'is frozen': (tab) => tab.cdp.send('Page.setWebLifecycleState', { state: 'active' }),
  'is navigated away': (tab) => tab.evaluate(() => history.back()).catch(() => undefined), // it may be gone by then
  'is busy': () => undefined,
};

for (const [how, end] of Object.entries(ENDS)) {
  inPages(`a leading tab that ${how}`, async (world) => {
    const { gateway } = world;
    const tabs = await openTabs(world, 3);
    await tabs[1].bringToFront();
    const [leading, ...others] = tabs;
    const since = Date.now();
    await end(leading, world);
    for (let number = 0; number < 7; number++) {
      gateway.set('all', { name: `meanwhile ${number}` });
      if (number === 4) for (const id of ['own-0', 'own-1', 'own-2']) gateway.set(id, { name: 'meanwhile' });
      await sleep(100);
    }
    const at = await whole(gateway, others, since, [1, 2]);
    assert.ok(at < TAKEN_OVER, `${at} ms`);
    assert.equal(gateway.sockets.length, 2);
    gateway.set('all', { name: 'afterwards' });
    await whole(gateway, others, 0, [1, 2]);
    await onlyWhatIsWatched(gateway, how === 'is busy' ? 3 : 2); // who was busy comes back by itself
    if (!RETURNS[how]) return;
    await RETURNS[how](leading);
    await whole(gateway, [leading], since);
    await onlyWhatIsWatched(gateway, 3);
  });
}

inPages('a write to a leading tab that hangs is made once', async (world) => {
  const { gateway } = world;
  const tabs = await openTabs(world, 2);
  await tabs[1].bringToFront();
  const set = (name) => tabs[1].evaluate((given) => globalThis.watches[0].session.user('all').set({ name: given }), name);
  await ENDS['is busy'](tabs[0]);
  await sleep(100);
  const since = Date.now();
  for (const name of ['first', 'second']) await set(name);
  assert.ok(Date.now() - since < TAKEN_OVER);
  await onlyWhatIsWatched(gateway, 2); // who was busy comes back by itself
  await whole(gateway, tabs, 0);
  assert.equal(gateway.users.get('all').name, 'second');
  const written = gateway.sockets.flatMap(({ subscribed }) => subscribed.filter(({ payload }) => payload.variables.input));
  assert.deepEqual(written.map(({ payload }) => payload.variables.input.name), ['first', 'second']);
});

inPages('a leading tab in the background', async (world) => {
  const { gateway } = world;
  const tabs = await openTabs(world, 2);
  await tabs[1].bringToFront();
  await until(() => tabs[0].evaluate(() => document.hidden));
  await sleep(1500);
  const delays = [];
  for (let number = 0; number < 20; number++) {
    const since = Date.now();
    gateway.set('own-1', { name: `change ${number}` });
    delays.push(await whole(gateway, [tabs[1]], since, [1]));
  }
  assert.ok(delays.sort((one, other) => one - other)[10] < 50, `${delays} ms`);
  assert.equal(gateway.sockets.length, 1);
});

inPages('a tab that is not there any more', async (world) => {
  const { gateway } = world;
  const tabs = await openTabs(world, 3);
  const { operations } = gateway.socket;
  assert.equal(operations.size, 3);
  tabs[1].cdp.send('Page.crash').catch(() => undefined);
  await until(() => operations.size === 2, TAKEN_OVER);
  await tabs[2].cdp.send('Page.setWebLifecycleState', { state: 'frozen' });
  await until(() => operations.size === 1, TAKEN_OVER);
  await tabs[2].cdp.send('Page.setWebLifecycleState', { state: 'active' });
  gateway.set('all', { name: 'changed' });
  await whole(gateway, [tabs[0], tabs[2]], 0, [0, 2]);
  assert.equal(gateway.sockets.length, 1);
});

inPages('users who differ', async ({ gateway, open, watch }) => {
  gateway.put('a', { name: 'a' });
  gateway.put('b', { name: 'b' });
  const [first, second] = [await open(), await open()];
  for (const page of [first, second]) {
    // All that tabs say to each other, whoever it is for.
    await page.evaluate(() => {
      const { get } = Object.getOwnPropertyDescriptor(MessageEvent.prototype, 'data');
      globalThis.heard = [];
      Object.defineProperty(MessageEvent.prototype, 'data', {
        get() {
          const data = get.call(this);
          if (this.target instanceof BroadcastChannel) globalThis.heard.push(JSON.stringify(data));
          return data;
        },
      });
    });
  }
  await watch(first, { shared: true, ids: ['a'], options: { token: userToken('alice') } });
  await watch(second, { shared: true, ids: ['b'], options: { token: userToken('bob') } });
  const third = await open();
  await watch(third, { shared: true, ids: ['a'], options: { token: userToken('alice', { iat: 1 }) } });
  gateway.set('a', { name: 'secret' });
  gateway.set('b', { name: 'other' });
  await until(async () => (await namesIn(third, 'a')).at(-1) === 'secret');
  await until(async () => (await namesIn(second, 'b')).at(-1) === 'other');
  assert.deepEqual(gateway.sockets.map(({ token }) => token), [userToken('alice', { iat: 1 }), userToken('bob')]);
  assert.deepEqual(gateway.sockets.map(({ subscribed }) => subscribed.map(({ payload }) => payload.variables.ids)), [[['a'], ['a']], [['b']]]);
  assert.deepEqual(await second.evaluate(() => globalThis.heard), []);
  assert.notDeepEqual(await first.evaluate(() => globalThis.heard), []); // the third tab's
  // Of those whose tokens do not say who they are, nobody knows whether they may hear the same.
  const nobody = await open();
  await watch(nobody, { shared: true, ids: ['a'], options: { token: 'opaque' } });
  await watch(nobody, { shared: true, ids: ['a'], options: { token: 'opaque' } });
  assert.equal(gateway.live.length, 4);
});

inPages('a token that is refused', async ({ gateway, open, watch }) => {
  gateway.put('a', { name: 'a' });
  const [good, bad, renewed] = [userToken('alice'), userToken('alice', { iat: 666 }), userToken('alice', { iat: 2 })];
  gateway.refuseToken = (token) => token === bad && [4403, 'Forbidden: It is bad.'];
  gateway.hook = (socket, { type, payload }) => {
    const isRefused = type === 'ping' && payload && gateway.refuseToken(payload.Authorization.slice(7));
    if (isRefused) socket.close(...isRefused);
    return isRefused;
  };
  const [first, second, third] = await Promise.all([open(), open(), open()]);
  await watch(first, { shared: true, options: { token: good } });
  await watch(second, { shared: true, options: { token: good } });
  const [code, asked] = await third.evaluate(async ({ url, token }) => {
    const { createSession } = await import('/userline/index.js');
    const { SharedWebSocket } = await import('/userline/tabs.js');
    const session = createSession({ url, token, WebSocket: SharedWebSocket, onError: () => undefined });
    const failed = await session.user('a').get().catch((error) => error.code);
    let calls = 0;
    const other = createSession({ url, userId: 'alice', token, WebSocket: SharedWebSocket, fresh: true, onError: () => undefined, onNeedToken: () => (calls++, token) });
    await other.user('a').get().catch((error) => error.code);
    return [failed, calls];
  }, { url: await first.evaluate(() => location.href.replace('http', 'ws').replace('blank.html', 'graphql')), token: bad });
  assert.deepEqual([code, asked], ['UNAUTHENTICATED', 1]);
  gateway.set('a', { name: 'still' });
  for (const page of [first, second]) await until(async () => (await namesIn(page, 'a')).at(-1) === 'still');
  assert.equal(gateway.live.length, 1);
  // A new token of any tab is shown on the socket, and nobody notices.
  const sockets = gateway.sockets.length;
  await second.evaluate((token) => globalThis.watches[0].session.setToken(token), renewed);
  await until(() => gateway.socket.token === renewed);
  gateway.set('a', { name: 'renewed' });
  for (const page of [first, second]) await until(async () => (await namesIn(page, 'a')).at(-1) === 'renewed');
  assert.equal(gateway.sockets.length, sockets);
  // When that is over, who has another one goes on with it; who has none, ends.
  gateway.refuseToken = (token) => token === renewed && [4403, 'Forbidden: It is over.'];
  gateway.cut(4410, 'Token expired');
  await until(() => second.evaluate(() => globalThis.watches[0].states.a?.error.code === 'UNAUTHENTICATED'));
  await second.evaluate(() => (globalThis.watches = []));
  gateway.set('a', { name: 'without' });
  await until(async () => (await namesIn(first, 'a')).at(-1) === 'without');
});

inPages('pages of another build', async ({ gateway, open, watch, address }) => {
  gateway.put('a', { name: 'a' });
  changeScripts((folder, text) => (folder === 'userline2' ? text.replace('userline 2 ', 'userline 3 ') : text));
  const [one, other] = [await open(), await open()];
  await watch(one, { shared: true });
  await watch(other, { shared: true, folder: address('userline2') });
  assert.equal(gateway.live.length, 2);
});

inPages('browsers whose tabs cannot hear each other', async ({ gateway, open, watch }) => {
  gateway.put('a', { name: 'a' });
  const lacking = [
    () => Object.defineProperty(navigator, 'locks', { value: undefined }),
    () => delete globalThis.BroadcastChannel,
    () => (LockManager.prototype.request = () => Promise.reject(new DOMException('No locks here', 'SecurityError'))),
  ];
  for (const lack of lacking) {
    for (const page of await Promise.all([open(), open()])) {
      await page.evaluate(`(${lack})()`);
      await watch(page, { shared: true });
    }
  }
  assert.equal(gateway.live.length, 6);
  gateway.set('a', { name: 'changed' });
});

inPages('more than a socket may carry', async ({ gateway, open, watch }) => {
  gateway.limits = { ...gateway.limits, watchedUsers: 10 };
  const ids = (tab) => Array.from({ length: 6 }, (_, number) => `${tab}-${number}`);
  const tabs = [];
  for (let tab = 0; tab < 4; tab++) {
    for (const id of ids(tab)) gateway.put(id);
    const page = await open();
    await watch(page, { shared: true, ids: ids(tab) });
    tabs.push(page);
  }
  for (const socket of gateway.live) {
    const watched = [...socket.operations.values()].reduce((sum, operation) => sum + operation.size, 0);
    assert.ok(watched > 0 && watched <= 10, `${watched}`);
  }
  for (const [tab, page] of tabs.entries()) {
    for (const id of ids(tab)) gateway.set(id, { name: 'changed' });
    for (const id of ids(tab)) await until(async () => (await namesIn(page, id)).at(-1) === 'changed');
  }
});

const { GATEWAY, SECRET } = process.env;

inPages('a real gateway', async ({ open, watch }) => {
  const encode = (part) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const signed = (claims, secret = SECRET) => {
    const body = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ iss: 'userline', exp: Math.floor(Date.now() / 1000) + 600, jti: randomUUID(), ...claims })}`;
    return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`;
  };
  const headers = { Authorization: `Bearer ${signed({ tokenType: 'app' })}`, 'Content-Type': 'application/json' };
  const id = `tabs-${randomUUID()}`;
  const set = (name) => fetch(`${GATEWAY}/v1/userline/users/${id}`, { method: 'PUT', headers, body: JSON.stringify({ name }) });
  const sockets = async () => Number(/^userline_sockets (\d+)/m.exec(await (await fetch(`${GATEWAY}/metrics`, { headers })).text())[1]);
  const url = `${GATEWAY.replace('http', 'ws')}/graphql`;
  const before = await sockets();
  const join = async (sub, options) => {
    const page = await open(`${GATEWAY}/healthz`);
    await watch(page, { url, ids: [id], shared: true, options: { token: signed({ tokenType: 'user', sub }), ...options } });
    return page;
  };
  assert.equal((await set('first')).status, 200);
  const alice = [await join('alice'), await join('alice'), await join('alice', { token: signed({ tokenType: 'user', sub: 'alice', exp: Math.floor(Date.now() / 1000) + 4 }) })];
  const bob = await join('bob');
  assert.equal((await sockets()) - before, 2);
  await set('second');
  for (const page of [...alice, bob]) await until(async () => (await namesIn(page, id)).at(-1) === 'second');
  // The token that was shown last is over: who has no other one ends, and the others go on with theirs.
  const ended = (page) => page.evaluate((user) => globalThis.watches[0].states[user]?.error.code, id);
  await until(async () => (await ended(alice[2])) === 'UNAUTHENTICATED');
  await alice.pop().close();
  // One that is not signed by who should have: it ends alone.
  const forged = await open(`${GATEWAY}/healthz`);
  const options = { token: signed({ tokenType: 'user', sub: 'alice' }, 'another secret of more than 32 bytes') };
  await assert.rejects(watch(forged, { url, ids: [id], shared: true, options }), /token/);
  await forged.close();
  await set('third');
  for (const page of [...alice, bob]) await until(async () => (await namesIn(page, id)).at(-1) === 'third');
  assert.equal((await sockets()) - before, 2);
});

const ROUNDS = Number(process.env.USERLINE_TEST_TABS ?? 12);

inPages('tabs that come and go by chance', async (world) => {
  const { gateway, open, watch } = world;
  const choose = (all) => all[Math.floor(Math.random() * all.length)];
  const ids = Array.from({ length: 20 }, (_, number) => `user-${number}`);
  for (const id of ids) gateway.put(id, { name: 'new' });
  const tabs = new Set();
  const begin = async () => {
    const tab = await open();
    tab.ids = ids.filter(() => Math.random() < 0.5);
    await watch(tab, { shared: true, ids: tab.ids });
    tabs.add(tab);
  };
  const frozen = new Set();
  const thaw = async (tab) => {
    frozen.delete(tab);
    await tab.cdp.send('Page.setWebLifecycleState', { state: 'active' });
  };
  const writing = setInterval(() => gateway.set(choose(ids), { name: `at ${Date.now()}` }), 5);
  const done = [];
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const awake = [...tabs].filter((tab) => !frozen.has(tab));
      const what = awake.length < 2 ? 'begin' : choose(['begin', 'close', 'crash', 'freeze', 'thaw', 'cut', 'reconnect', 'show']);
      done.push(what);
      const tab = choose(awake);
      if (what === 'begin' && tabs.size < 6) await begin();
      if (what === 'close') await tab.close();
      if (what === 'crash') tab.cdp.send('Page.crash').catch(() => undefined);
      if (what === 'close' || what === 'crash') tabs.delete(tab);
      if (what === 'freeze') {
        frozen.add(tab);
        await tab.cdp.send('Page.setWebLifecycleState', { state: 'frozen' });
      }
      if (what === 'thaw') for (const each of frozen) await thaw(each);
      if (what === 'cut') gateway.cut();
      if (what === 'reconnect') await tab.evaluate(() => globalThis.watches[0].session.reconnect());
      if (what === 'show') await tab.bringToFront();
      await sleep(Math.random() * 200);
    }
    for (const each of frozen) await thaw(each);
  } finally {
    clearInterval(writing);
  }
  const wanted = Object.fromEntries(ids.map((id) => [id, gateway.users.get(id).name]));
  for (const tab of tabs) {
    await until(() => tab.evaluate((names) => Object.entries(globalThis.watches[0].shown).every(([id, shown]) => shown.at(-1).user.name === names[id]), wanted)).catch((error) => {
      throw new Error(`${error.message}, after ${done}`);
    });
  }
  await until(() => gateway.live.length === 1);
  await until(() => [...gateway.live[0].operations.values()].reduce((sum, { size }) => sum + size, 0) === [...tabs].reduce((sum, tab) => sum + tab.ids.length, 0));
});
