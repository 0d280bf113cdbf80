import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import test from 'node:test';

import { createSession } from '../../dist/index.js';
import { recorder, refusal, scripted, settle } from './setup.mjs';

test('33: a socket is made when something needs it, and closed 30 s after nothing does', scripted(async ({ clock, gateway, open }) => {
  const session = open();
  const statuses = [];
  session.onStatusChange((status) => statuses.push(status));
  assert.equal(gateway.sockets.length, 0);
  const subscription = session.user('a').subscribe();
  await clock.advance(60_000);
  assert.equal(gateway.live.length, 1);
  subscription.unsubscribe();
  await clock.advance(28_000);
  assert.equal(gateway.live.length, 1);
  await clock.advance(3000);
  assert.equal(gateway.live.length, 0);
  assert.equal(session.status, 'idle');
  await session.user('a').get();
  assert.deepEqual(statuses, ['connecting', 'connected', 'reconnecting', 'idle', 'reconnecting', 'connected']);
}));

test('33: a request that is done does not need the socket', scripted(async ({ clock, gateway, open }) => {
  await open({ idleTimeout: 5000 }).user('a').set({ name: 'A' });
  await clock.advance(6000);
  assert.equal(gateway.live.length, 0);
  assert.equal(clock.timers.size, 0);
  // A gateway that answers and does not say that this was all.
  gateway.hook = (socket, { id, type }) => type === 'subscribe' && (socket.next(id, { deleteUser: { deleted: true } }), true);
  assert.equal(await open({ idleTimeout: 5000 }).user('a').delete(), true);
  await clock.advance(7000);
  assert.equal(gateway.live.length, 0);
}));

test('34: pauses have full jitter and grow to 10 s; the first is up to 0.5 s', scripted(async ({ clock, gateway, open }) => {
  const { random } = Math;
  Math.random = () => 0.999;
  try {
    gateway.door = 'closed';
    const session = open();
    session.user('a').subscribe();
    const times = [];
    for (let step = 0; step < 800 && times.length < 9; step++) {
      const before = gateway.sockets.length;
      await clock.advance(100);
      if (gateway.sockets.length > before) times.push(clock.time);
    }
    const pauses = times.slice(1).map((time, n) => time - times[n]);
    assert.deepEqual(pauses.map((pause) => Math.round(pause / 500) / 2), [0.5, 1, 2, 4, 8, 10, 10, 10]);
  } finally {
    Math.random = random;
  }
}));

test('34: there is a pause after the first loss, too', scripted(async ({ clock, gateway, open }) => {
  const { random } = Math;
  try {
    open().user('a').subscribe();
    await settle();
    Math.random = () => 0.99;
    gateway.cut();
    await clock.advance(480);
    assert.equal(gateway.sockets.length, 1);
    await clock.advance(20);
    assert.equal(gateway.sockets.length, 2);
  } finally {
    Math.random = random;
  }
}));

for (const code of [1001, 1006, 1011, 1012, 1013, 4408, 4430, 4431, 4503, 1000, 3999]) {
  test(`34, 45: after ${code} the client comes back, when the gateway says`, scripted(async ({ clock, gateway, open }) => {
    gateway.put('a', { name: 'one' });
    const { names, listener } = recorder();
    const session = open({ onError: assert.fail });
    const subscription = session.user('a').subscribe(listener);
    await settle();
    gateway.cut(code, 'This gateway is being stopped; retry after 0.7 s');
    assert.equal(session.status, 'reconnecting');
    await clock.advance(690);
    assert.equal(gateway.sockets.length, 1);
    gateway.set('a', { name: 'two' });
    await clock.advance(20);
    assert.equal(gateway.sockets.length, 2);
    assert.deepEqual(names(), ['one', 'two']);
    assert.equal(subscription.state.type, 'active');
  }));
}

test('35: after a loss all that is wanted is one operation, and shown only if it differs', scripted(async ({ clock, gateway, open }) => {
  const session = open();
  const { seen, listener } = recorder();
  for (let n = 0; n < 100; n++) {
    gateway.put(`u${n}`);
    session.user(`u${n}`).subscribe(listener);
    await settle();
  }
  await session.user('lingers').get();
  gateway.cut();
  await clock.advance(600);
  assert.equal(gateway.socket.subscribed.length, 1);
  assert.equal(gateway.socket.subscribed[0].payload.variables.ids.length, 100);
  assert.equal(seen.length, 100);
}));

test('36: requests under way are sent again until their time runs out', scripted(async ({ clock, gateway, open }) => {
  gateway.hook = (socket, { type }) => type === 'subscribe';
  const session = open();
  const writing = session.user('a').set({ name: 'A' });
  await settle();
  gateway.cut();
  gateway.hook = undefined;
  await clock.advance(600);
  assert.equal((await writing).user.name, 'A');
  gateway.hook = (socket, { type }) => type === 'subscribe';
  const late = session.user('a').set({ name: 'B' }).catch((error) => error);
  await clock.advance(15_100);
  assert.equal((await late).code, 'CONNECTION_TIMEOUT');
  assert.equal(gateway.socket.completed.length, 1);
  gateway.door = 'closed';
  gateway.cut(1012, 'stopped');
  const lost = session.user('a').set({ name: 'C' }).catch((error) => error);
  await clock.advance(15_100);
  assert.equal((await lost).code, 'DISCONNECTED');
  assert.match((await lost).message, /1006/);
}));

test('37: a dead peer is found within 15 s, and one that lives is not given up', scripted(async ({ clock, gateway, open }) => {
  const session = open();
  session.user('a').subscribe();
  await clock.advance(120_000);
  assert.equal(gateway.sockets.length, 1);
  gateway.isDeaf = true;
  gateway.put('a', { name: 'new' });
  await clock.advance(14_000);
  assert.ok(gateway.sockets.length > 1);
  gateway.isDeaf = false;
  await clock.advance(15_000);
  assert.equal(session.user('a').peek().name, 'new');
}));

test('37: a socket that never opens, and one that is never acknowledged, is given up', scripted(async ({ clock, gateway, open }) => {
  gateway.door = 'silent';
  const session = open();
  session.user('a').subscribe();
  await clock.advance(11_000);
  assert.ok(gateway.sockets.length > 1);
  gateway.door = 'open';
  gateway.isDeaf = true;
  await clock.advance(25_000);
  gateway.isDeaf = false;
  await clock.advance(21_000);
  assert.equal(session.status, 'connected');
}));

test('37: who stood still asks at once, and gives the answer 3 s', scripted(async ({ clock, gateway, open }) => {
  open().user('a').subscribe();
  await clock.advance(2000);
  clock.move(60_000);
  await clock.advance(10);
  assert.equal(gateway.socket.received.at(-1).type, 'ping');
  assert.equal(gateway.sockets.length, 1);
  gateway.isDeaf = true;
  clock.move(60_000);
  await clock.advance(4500);
  assert.ok(gateway.sockets.length > 1);
}));

test('38: after sleep the socket is given up at once, and a pause is over; a clock set back does nothing', scripted(async ({ clock, gateway, open }) => {
  open().user('a').subscribe();
  await clock.advance(2000);
  clock.sleep(-3_600_000);
  await clock.advance(2000);
  assert.equal(gateway.sockets.length, 1);
  clock.sleep(3_600_000);
  await clock.advance(1600);
  assert.equal(gateway.live.length, 1);
  assert.equal(gateway.sockets.length, 2);
  gateway.door = 'closed';
  gateway.cut(1012, 'retry after 100 s');
  await clock.advance(2000);
  assert.equal(gateway.sockets.length, 2);
  clock.sleep(60_000);
  gateway.door = 'open';
  await clock.advance(1100);
  assert.equal(gateway.live.length, 1);
}));

/** Runs a test with a page and a document, whose events it makes; nobody may listen to them in the end. */
const inAPage = (run) => async () => {
  const target = new EventTarget();
  const doc = Object.assign(new EventTarget(), { hidden: false });
  globalThis.addEventListener = target.addEventListener.bind(target);
  globalThis.removeEventListener = target.removeEventListener.bind(target);
  globalThis.document = doc;
  try {
    await scripted((world) => run({ ...world, target, doc }))();
    for (const type of ['online', 'pageshow', 'pagehide']) assert.equal(getEventListeners(target, type).length, 0);
    for (const type of ['visibilitychange', 'freeze', 'resume']) assert.equal(getEventListeners(doc, type).length, 0);
  } finally {
    for (const name of ['addEventListener', 'removeEventListener', 'document']) delete globalThis[name];
  }
};

test('37, 38: online, visible and shown pages look at once', inAPage(async ({ clock, gateway, open, target, doc }) => {
  open().user('a').subscribe();
  await Promise.resolve();
  await Promise.resolve();
  assert.equal(gateway.sockets.length, 1);
  target.dispatchEvent(new Event('pageshow')); // as every page is: it does not disturb a handshake
  await settle();
  assert.equal(gateway.sockets.length, 1);
  for (const wake of [
    () => target.dispatchEvent(new Event('online')),
    () => target.dispatchEvent(new Event('pageshow')),
    () => doc.dispatchEvent(new Event('visibilitychange')),
  ]) {
    gateway.cut(1012, 'retry after 100 s');
    await clock.advance(5000);
    assert.equal(gateway.live.length, 0);
    doc.hidden = true;
    doc.dispatchEvent(new Event('visibilitychange'));
    doc.hidden = false;
    await settle();
    assert.equal(gateway.live.length, 0);
    wake();
    await clock.advance(100);
    assert.equal(gateway.live.length, 1);
  }
  const sockets = gateway.sockets.length;
  target.dispatchEvent(new Event('online'));
  await clock.advance(5000);
  assert.equal(gateway.sockets.length, sockets, 'it answers');
  gateway.isDeaf = true;
  target.dispatchEvent(new Event('online'));
  await clock.advance(3700); // three ticks, and the first pause
  assert.ok(gateway.sockets.length > sockets, 'it does not');
  gateway.isDeaf = false;
}));

test('38: a page that is put aside leaves no socket, and is back at once', inAPage(async ({ clock, gateway, open, target, doc }) => {
  gateway.put('a');
  const session = open();
  const { names, listener } = recorder();
  target.dispatchEvent(new Event('pagehide')); // there is nothing yet
  await settle();
  assert.equal(session.status, 'idle');
  session.user('a').subscribe(listener);
  await settle();
  for (const [away, back] of [
    [() => target.dispatchEvent(new Event('pagehide')), () => target.dispatchEvent(new Event('pageshow'))],
    [() => doc.dispatchEvent(new Event('freeze')), () => doc.dispatchEvent(new Event('resume'))],
  ]) {
    away();
    assert.equal(gateway.live.length, 0);
    await clock.advance(900); // as long as the page is still stopping
    assert.equal(gateway.live.length, 0);
    gateway.set('a', { name: `after ${gateway.sockets.length}` });
    back();
    await settle();
    assert.equal(gateway.live.length, 1);
    assert.equal(session.status, 'connected');
  }
  target.dispatchEvent(new Event('pagehide')); // one that does not stop is back by itself
  await clock.advance(1100);
  assert.equal(gateway.live.length, 1);
  assert.deepEqual(names(), ['a', 'after 1', 'after 2']);
}));

test('39: closing unsubscribes everything, fails what is under way, and leaves nothing running', scripted(async ({ clock, gateway, open }) => {
  const session = open();
  const active = session.user('a').subscribe();
  await active.connected;
  gateway.hook = (socket, { id, type, payload }) => {
    if (type === 'subscribe' && payload.variables.ids) socket.next(id, null, [refusal('STORE_UNAVAILABLE')]);
    return type === 'subscribe';
  };
  const pending = session.user('b').subscribe();
  const getting = session.user('c').get().catch((error) => error);
  const writing = session.user('d').set({ name: 'D' }).catch((error) => error);
  const online = session.user('e').subscribeOnline();
  await settle();
  await session.close();
  for (const { state } of [active, pending, online]) assert.equal(state.type, 'unsubscribed');
  assert.equal((await getting).code, 'SESSION_CLOSED');
  assert.equal((await writing).code, 'SESSION_CLOSED');
  assert.equal(clock.timers.size, 0);
  assert.equal(session.status, 'closed');
  await session.close();
  await assert.rejects(session.user('a').get(), { code: 'SESSION_CLOSED' });
  await assert.rejects(session.user('a').set({}), { code: 'SESSION_CLOSED' });
  await assert.rejects(session.app(), { code: 'SESSION_CLOSED' });
  assert.throws(() => session.user('a').subscribe(), { code: 'SESSION_CLOSED' });
  assert.throws(() => session.setToken('x'), { code: 'SESSION_CLOSED' });
}));

test('40: the same URL and user are the same session, closed when all have closed it', scripted(async ({ gateway }) => {
  const options = { url: 'wss://shared/graphql', userId: 'ann', WebSocket: gateway.WebSocket };
  const one = createSession(options);
  assert.equal(createSession({ ...options, url: 'https://shared/graphql#x' }), one);
  const bob = createSession({ ...options, userId: 'bob' });
  const fresh = createSession({ ...options, fresh: true });
  assert.equal(new Set([one, bob, fresh]).size, 3);
  await one.close();
  assert.equal(one.status, 'idle');
  await one.close();
  assert.equal(one.status, 'closed');
  const next = createSession(options);
  assert.notEqual(next, one);
  // Tokens of which nobody says whose they are are not shared: they may be two users'.
  const unknown = [1, 2].map(() => createSession({ url: options.url, WebSocket: gateway.WebSocket, onNeedToken: () => 't' }));
  assert.notEqual(unknown[0], unknown[1]);
  for (const session of [bob, fresh, next, ...unknown]) await session.close();
  for (const url of ['', 'nonsense', 'ftp://x/', 'mailto:a@b.c']) assert.throws(() => createSession({ url }), { code: 'INVALID_INPUT' });
}));

for (const code of [1008, 1009, 4400, 4401, 4406, 4409, 4429]) {
  test(`45: ${code} ends everything`, scripted(async ({ clock, gateway, open }) => {
    const errors = [];
    const session = open({ onError: (error) => errors.push(error) });
    const subscription = session.user('a').subscribe();
    await subscription.connected;
    const getting = session.user('b').get().catch((error) => error);
    gateway.cut(code, 'a mistake');
    assert.equal(subscription.state.error.code, 'PROTOCOL_ERROR');
    assert.equal(subscription.state.error.closeCode, code);
    assert.equal(await getting, subscription.state.error);
    assert.deepEqual(errors, [subscription.state.error]);
    await clock.advance(60_000);
    assert.equal(gateway.live.length, 0);
    assert.equal(session.status, 'failed');
    await session.user('a').get();
  }));
}

for (const [message, isFatal] of [[404, true], [403, true], [301, true], [408, false], [425, false], [429, false], [500, false], [502, false], [503, false], [504, false]]) {
  test(`45: HTTP status ${message} at the handshake`, scripted(async ({ clock, gateway, open }) => {
    gateway.door = 'silent';
    const session = open({ onError: () => {} });
    const subscription = session.user('a').subscribe();
    await settle();
    gateway.socket.client.onerror({ message: `Unexpected server response: ${message}` });
    gateway.door = 'open';
    gateway.socket.close(1006);
    await clock.advance(600);
    assert.equal(subscription.state.type, isFatal ? 'error' : 'active');
  }));
}

test('45: a certificate that is not trusted, unless there has been a connection before', scripted(async ({ clock, gateway, open }) => {
  const session = open({ onError: () => {} });
  const fail = async () => {
    await clock.advance(600);
    gateway.socket.client.onerror({ message: 'certificate has expired', error: { code: 'CERT_HAS_EXPIRED' } });
    gateway.socket.close(1006);
  };
  gateway.door = 'silent';
  const first = session.user('a').subscribe();
  await fail();
  assert.equal(first.state.error.code, 'PROTOCOL_ERROR');
  gateway.door = 'open';
  const second = session.user('a').subscribe();
  await clock.advance(600);
  gateway.door = 'silent';
  gateway.cut();
  await fail();
  assert.equal(second.state.type, 'active');
}));

for (const text of ['', 'nonsense', '[]', 'null', '5', '{}', '{"type":7}']) {
  test(`45: a message that the protocol does not have (${text})`, scripted(async ({ gateway, open }) => {
    const subscription = open({ onError: () => {} }).user('a').subscribe();
    await settle();
    gateway.socket.tell(text || 'x');
    assert.equal(subscription.state.error?.code, 'PROTOCOL_ERROR');
  }));
}

for (const payload of [undefined, null, 5, [], {}, { data: null }, { errors: [] }, { data: 5 }, { data: { usersChanged: [null] } }, { errors: [null] }]) {
  test(`45: a result that is none fails its operation alone (${JSON.stringify(payload)})`, scripted(async ({ gateway, open }) => {
    const session = open({ onError: assert.fail });
    const other = session.user('other').subscribe();
    await settle();
    const subscription = session.user('a').subscribe();
    await settle();
    gateway.socket.tell({ id: '2', type: 'next', payload });
    assert.equal(subscription.state.error?.code, 'PROTOCOL_ERROR');
    await settle();
    assert.deepEqual(gateway.socket.completed, ['2']);
    assert.equal(other.state.type, 'active');
    gateway.socket.tell({ type: 'something new', id: '1' });
    assert.equal(other.state.type, 'active');
  }));
}

test('reconnect() connects anew, and nobody notices', scripted(async ({ gateway, open }) => {
  gateway.put('a');
  const session = open();
  const { seen, listener } = recorder();
  session.user('a').subscribe(listener);
  await settle();
  session.reconnect();
  await settle();
  assert.equal(gateway.sockets.length, 2);
  assert.equal(gateway.live.length, 1);
  assert.equal(seen.length, 1);
}));
