// Uses a real gateway: `node against.mjs URL socket|stream [SECRET]`, and prints what it has checked.
import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import WebSocket from 'ws';

import { createSession } from '../../dist/index.js';

const [url, kind, secret] = process.argv.slice(2);
const checks = [];
const check = async (name, run) => {
  await run();
  checks.push(name);
};
const encode = (part) => Buffer.from(JSON.stringify(part)).toString('base64url');
let asked = 0;
const makeToken = (claims, seconds = 3600) => {
  const body = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ iss: 'userline', exp: Math.floor(Date.now() / 1000) + seconds, ...claims })}`;
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`;
};
const sockets = [];
class Socket extends WebSocket {
  constructor(...given) {
    super(...given);
    sockets.push(this);
  }
}
// Where no WebSocket is given and Node has none, streams are used.
if (kind === 'stream') delete globalThis.WebSocket;
const open = (more = {}) =>
  createSession({
    url,
    ...(kind === 'socket' && { WebSocket: Socket }),
    ...(secret && { onNeedToken: () => (asked++, makeToken({ tokenType: 'app' })) }),
    fresh: true,
    ...more,
  });
const until = async (condition) => {
  for (const end = Date.now() + 20_000; !condition(); ) {
    assert.ok(Date.now() < end, `never: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};
const id = () => `ts-${randomUUID()}`;

const session = open();
const other = open();
await check('reads and writes', async () => {
  const ann = session.user(id());
  assert.equal(await ann.get(), null);
  const { user, created } = await ann.createIfNotExists({ name: 'Ann', custom: { 'a.b$': 'c', __proto__x: '😀' }, email: 'ann@example.com' });
  assert.equal(created, true);
  assert.deepEqual({ ...user.custom }, { 'a.b$': 'c', __proto__x: '😀' });
  assert.equal(user.effectiveLocale, 'en');
  assert.deepEqual(await ann.get(), user);
  const result = await ann.set({ locale: 'nl', custom: { 'a.b$': null } });
  assert.deepEqual([result.created, result.changed, result.user.locale], [false, true, 'nl']);
  assert.equal((await ann.set({ locale: 'nl' })).changed, false);
  await assert.rejects(ann.set({ name: ' ', locale: '?' }), (error) => error.code === 'BAD_USER_INPUT' && error.problems.length === 2);
  await assert.rejects(session.user(id()).set({ locale: 'nl' }), { code: 'NAME_REQUIRED' });
});
await check('what another session writes is seen', async () => {
  const names = [];
  const one = id();
  const subscription = session.user(one).subscribe((user) => names.push(user && user.name));
  await subscription.connected;
  await other.user(one).set({ name: 'One' });
  await until(() => names.length === 2);
  assert.equal((await session.user(one).get()).name, 'One');
  assert.deepEqual(names, [null, 'One']);
  subscription.unsubscribe();
});
await check('a thousand users', async () => {
  const users = await session.users(Array.from({ length: 1000 }, (_, n) => `nobody-${n}`)).get();
  assert.deepEqual([users.length, new Set(users).size], [1000, 1]);
});
await check('subscribeOnline, app', async () => {
  const online = session.user(id()).subscribeOnline();
  assert.deepEqual((await online.connected).latestSnapshot, { user: null, isConnected: false });
  online.unsubscribe();
  const app = await session.app();
  assert.equal(app.defaultLocale, 'en');
  assert.ok(app.roles.default);
});
if (kind === 'socket') {
  await check('cuts', async () => {
    const ids = Array.from({ length: 20 }, id);
    const latest = new Map();
    for (const each of ids) {
      session.user(each).subscribe((user) => {
        assert.notDeepEqual(latest.get(each), user);
        latest.set(each, user);
      });
    }
    await until(() => latest.size === 20);
    for (let cut = 0; cut < 5; cut++) {
      for (const socket of sockets) if (socket.readyState === 1) socket.terminate();
      await Promise.all(ids.map((each) => other.user(each).set({ name: `cut ${cut}` })));
      await until(() => ids.every((each) => latest.get(each)?.name === `cut ${cut}`));
    }
  });
}
if (secret) {
  await check('tokens', async () => {
    assert.equal(asked, 2);
    const me = id();
    let fetched = 0;
    const mine = open({ userId: me, onNeedToken: () => (fetched++, makeToken({ tokenType: 'user', sub: me }, 6)) });
    const names = [];
    const subscription = mine.user(me).subscribe((user) => names.push(user && user.name));
    await subscription.connected;
    await mine.user(me).set({ name: 'Me' });
    await assert.rejects(mine.user(id()).set({ name: 'Other' }), { code: 'FORBIDDEN' });
    const before = sockets.length;
    await until(() => fetched > 1);
    await other.user(me).set({ name: 'Still me' });
    await until(() => names.includes('Still me'));
    assert.deepEqual(names, [null, 'Me', 'Still me']);
    assert.equal(sockets.length, before);
    await mine.close();
    const errors = [];
    const wrong = open({ onNeedToken: () => 'not.a.token', onError: (error) => errors.push(error) });
    await assert.rejects(wrong.user(me).get(), { code: 'UNAUTHENTICATED' });
    assert.equal(errors.length, 1);
    await wrong.close();
  });
}
await session.close();
await other.close();
await assert.rejects(session.user('a').get(), { code: 'SESSION_CLOSED' });
console.log(JSON.stringify({ checks }));
