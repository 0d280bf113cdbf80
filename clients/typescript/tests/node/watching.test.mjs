import assert from 'node:assert/strict';
import test from 'node:test';

import { recorder, scripted, settle } from './setup.mjs';

test('1: one reference for one id, and making one sends nothing', scripted(async ({ gateway, open }) => {
  const session = open();
  assert.equal(session.user('a'), session.user('a'));
  assert.equal(session.user('a').id, 'a');
  assert.notEqual(session.user('a'), session.user('b'));
  session.users(['a', 'b']);
  await settle();
  assert.equal(gateway.sockets.length, 0);
  assert.equal(session.status, 'idle');
}));

test('2: ids that no user can have are refused at once', scripted(async ({ open }) => {
  const session = open();
  for (const id of ['', 'x'.repeat(256), '😀'.repeat(256), 'a\0b', '\ud800', 'a\udc00b', 5, null, undefined, {}]) {
    assert.throws(() => session.user(id), { code: 'INVALID_INPUT' }, String(id));
    assert.throws(() => session.users(['fine', id]), { code: 'INVALID_INPUT' });
  }
  for (const id of ['x'.repeat(255), '😀'.repeat(255), 'a/b.c$d', '__proto__', ' ', 'constructor']) {
    assert.equal(session.user(id).id, id);
  }
}));

test('3: snapshots are frozen deeply, and the same object while nothing changes', scripted(async ({ gateway, open }) => {
  gateway.put('a', { custom: { x: '1' } });
  const session = open();
  const first = await session.user('a').get();
  assert.ok(Object.isFrozen(first) && Object.isFrozen(first.custom));
  assert.throws(() => { first.name = 'no'; }, TypeError);
  assert.throws(() => { first.custom.x = 'no'; }, TypeError);
  assert.equal(first.effectiveLocale, 'en');
  assert.match(first.version, /^\d+$/);
  assert.deepEqual(structuredClone(first), first);
  gateway.users.set('a', { ...gateway.users.get('a'), version: '9'.repeat(20) }); // what only servers see has changed
  gateway.changed(['a']);
  await settle();
  assert.equal(await session.user('a').get(), first);
  assert.equal(session.user('a').peek(), first);
  gateway.set('a', { custom: { y: '2' } });
  assert.equal(session.user('a').peek(), first, 'a lower version');
}));

test('3: each field counts, and each key of custom', scripted(async ({ gateway, open }) => {
  gateway.put('a');
  const session = open();
  const { seen, listener } = recorder();
  session.user('a').subscribe(listener);
  await settle();
  const changes = [
    { name: 'A' }, { custom: { x: '1' } }, { custom: { x: '2' } }, { custom: { y: '2' } }, { custom: {} }, { locale: 'nl' },
    { effectiveLocale: 'nl' }, { photoUrl: 'https://x/' }, { role: 'admin' }, { welcomeMessage: 'Hi' }, { custom: { toString: 'x' } },
  ];
  for (const [number, change] of changes.entries()) {
    const { version, ...before } = gateway.users.get('a');
    gateway.put('a', { ...before, ...change });
    gateway.changed(['a']);
    assert.equal(seen.length, number + 2, JSON.stringify(change));
    gateway.put('a', { ...before, ...change });
    gateway.changed(['a']);
    assert.equal(seen.length, number + 2);
  }
}));

test('3: versions are compared as numbers', scripted(async ({ gateway, open }) => {
  gateway.put('a', { version: '9' });
  const session = open();
  const { seen, listener } = recorder();
  session.user('a').subscribe(listener);
  await settle();
  for (const version of ['10', '8', '11', '9', '12345678901234567890', '12345678901234567889']) {
    gateway.put('a', { name: `v${version}`, version });
    gateway.changed(['a']);
  }
  assert.deepEqual(seen.map((user) => user.version), ['9', '10', '11', '12345678901234567890']);
}));

test('4, 6: what begins in a turn is one operation, each user once; a known one costs none', scripted(async ({ gateway, open }) => {
  for (let n = 0; n < 1000; n++) gateway.put(`u${n}`);
  const session = open();
  const gets = [];
  for (let n = 0; n < 1000; n++) {
    session.user(`u${n}`).subscribe();
    gets.push(session.user(`u${n}`).get());
  }
  const users = await Promise.all(gets);
  assert.deepEqual(users.map((user) => user.name), [...gateway.users.keys()]);
  assert.equal(gateway.sockets.length, 1);
  assert.deepEqual(gateway.socket.received.map(({ type }) => type), ['connection_init', 'subscribe']);
  assert.equal(gateway.watched[0].length, 1000);
  await session.user('u7').get();
  assert.equal(gateway.subscribed.length, 1);
}));

test('4: a get waits while its watch comes back', scripted(async ({ clock, gateway, open }) => {
  gateway.put('a');
  const session = open();
  session.user('a').subscribe();
  await settle();
  gateway.cut();
  gateway.set('a', { name: 'later' });
  const getting = session.user('a').get();
  let isThere = false;
  getting.then(() => (isThere = true));
  await settle();
  assert.equal(isThere, false);
  await clock.advance(600);
  assert.equal((await getting).name, 'later');
}));

test('5: a watch lingers for 30 s after its last use, is live, and then is let go', scripted(async ({ clock, gateway, open }) => {
  gateway.put('a');
  const session = open();
  await session.user('a').get();
  gateway.set('a', { name: 'new' });
  await clock.advance(29_000);
  assert.equal((await session.user('a').get()).name, 'new');
  await clock.advance(29_000);
  const subscription = session.user('a').subscribe();
  await subscription.connected;
  subscription.unsubscribe();
  assert.equal(gateway.subscribed.length, 1);
  await clock.advance(29_900);
  assert.deepEqual(gateway.socket.completed, []);
  await clock.advance(200);
  assert.deepEqual(gateway.socket.completed, ['1']);
  await session.user('a').get();
  assert.equal(gateway.subscribed.length, 2);
}));

test('5: at most 2,000 watches linger', scripted(async ({ gateway, open }) => {
  const session = open();
  const ids = Array.from({ length: 2600 }, (_, n) => `u${n}`);
  await session.users(ids).get();
  await settle();
  // 600 of the first ones are let go: of the first operation most, so that what is wanted of it is watched anew.
  assert.equal(gateway.watched.length, 4);
  assert.equal(gateway.watched[3].length, 400);
}));

test('6: an operation has at most 1,000 ids and fits into a message', scripted(async ({ gateway, open }) => {
  gateway.limits = undefined;
  const session = open();
  const ids = Array.from({ length: 1500 }, (_, n) => `${n}`.padStart(255, n < 700 ? 'é' : 'x'));
  const ends = ids.map((id) => session.user(id).subscribe().connected);
  await Promise.all(ends);
  assert.ok(gateway.watched.length > 1);
  for (const message of gateway.subscribed) assert.ok(Buffer.byteLength(JSON.stringify(message)) < 65_536);
  assert.equal(gateway.watched.flat().length, 1500);
}));

test('8: nothing changes when a component subscribes twice', scripted(async ({ gateway, open }) => {
  const session = open();
  session.user('a').subscribe().unsubscribe();
  session.user('a').subscribeOnline().unsubscribe();
  session.user('a').subscribe();
  session.user('a').subscribeOnline();
  await settle();
  assert.equal(gateway.subscribed.length, 2);
  assert.deepEqual(gateway.socket.completed, []);
}));

test('8, 10: an operation of which few are wanted is begun anew with those, and nobody notices', scripted(async ({ clock, gateway, open }) => {
  const session = open();
  const subscriptions = [];
  for (let n = 0; n < 100; n++) {
    gateway.put(`u${n}`);
    subscriptions.push(session.user(`u${n}`).subscribe());
  }
  const { seen, listener } = recorder();
  session.user('u99').subscribe(listener);
  await settle();
  for (const subscription of subscriptions.slice(0, 50)) subscription.unsubscribe();
  await clock.advance(31_000);
  assert.equal(gateway.subscribed.length, 1, 'half of them are wanted');
  gateway.set('u3', { name: 'kept up to date' });
  assert.equal((await session.user('u3').get()).name, 'kept up to date');
  assert.equal(gateway.subscribed.length, 1);
  subscriptions[50].unsubscribe();
  subscriptions[51].unsubscribe();
  await clock.advance(31_000);
  const { received } = gateway.socket;
  const types = received.map(({ type }) => type).filter((type) => type !== 'ping');
  assert.deepEqual(types, ['connection_init', 'subscribe', 'complete', 'subscribe']);
  assert.equal(gateway.watched[1].length, 48);
  assert.equal(seen.length, 1);
  assert.equal(subscriptions[99].state.type, 'active');
  gateway.set('u99', { name: 'again' });
  assert.equal(seen.length, 2);
}));

test('9: many small operations are put together', scripted(async ({ gateway, open }) => {
  const session = open();
  for (let n = 0; n < 200; n++) {
    session.user(`u${n}`).subscribe();
    await settle();
  }
  const under = [...gateway.socket.operations.values()];
  assert.ok(under.length <= 65, `${under.length}`);
  assert.equal(new Set(under.flatMap((ids) => [...ids])).size, 200);
}));

test('10, 11: what comes of an old operation, and ids that were not asked for, are not looked at', scripted(async ({ gateway, open }) => {
  gateway.put('a');
  const session = open();
  const { seen, listener } = recorder();
  session.user('a').subscribe(listener);
  await settle();
  const stranger = gateway.put('stranger');
  gateway.socket.next('1', { usersChanged: [{ id: 'stranger', user: stranger }] });
  gateway.socket.next('77', { usersChanged: [{ id: 'a', user: null }] });
  assert.equal(seen.length, 1);
  assert.equal(session.user('stranger').peek(), undefined);
}));

test('11: first events in parts; an entry with an error ends that user alone', scripted(async ({ clock, gateway, open }) => {
  const [a, b] = [gateway.put('a'), gateway.put('b')];
  gateway.hook = (socket, { id, type }) => {
    if (type !== 'subscribe') return false;
    socket.next(id, { usersChanged: [{ id: 'a', user: a }] });
    setTimeout(() => {
      const errors = [{ message: 'broken', path: ['usersChanged', 1, 'user'], extensions: { code: 'INTERNAL_SERVER_ERROR' } }];
      socket.next(id, { usersChanged: [{ id: 'b', user: b }, { id: 'c', user: null }] }, errors);
    }, 1000);
    return true;
  };
  const session = open();
  const states = ['a', 'b', 'c'].map((id) => session.user(id).subscribe());
  await settle();
  assert.deepEqual(states.map(({ state }) => state.type), ['active', 'pending', 'pending']);
  await clock.advance(1000);
  assert.deepEqual(states.map(({ state }) => state.type), ['active', 'active', 'error']);
  assert.equal(states[2].state.error.code, 'INTERNAL_SERVER_ERROR');
  await assert.rejects(states[2].connected, { message: 'broken' });
}));

test('41: the app is asked for once for each connection', scripted(async ({ clock, gateway, open }) => {
  const session = open();
  const [one, two] = await Promise.all([session.app(), session.app()]);
  assert.equal(one, two);
  assert.deepEqual(one, { id: 'test', defaultLocale: 'en', roles: { default: { can: ['read'] } } });
  assert.equal(await session.app(), one);
  assert.equal(gateway.subscribed.length, 1);
  session.user('a').subscribe();
  await settle();
  gateway.cut();
  await clock.advance(600);
  assert.notEqual(await session.app(), one);
}));

test('3, 12: what another session has seen is known at once, and is not gone back to', scripted(async ({ gateway, open }) => {
  const old = { ...gateway.put('a', { name: 'old', custom: { x: '1' } }) };
  const now = gateway.put('a', { name: 'now', custom: { x: '1' } });
  const session = open();
  session.seed(new Map([['a', now], ['ghost', null]]));
  const first = session.user('a').peek();
  assert.deepEqual(first, now);
  assert.ok(Object.isFrozen(first) && Object.isFrozen(first.custom) && !Object.isFrozen(now.custom));
  assert.equal(session.user('ghost').peek(), null);
  session.seed(Object.entries({ a: old }));
  session.seed([['a', null]]);
  assert.equal(session.user('a').peek(), first);
  assert.equal(gateway.sockets.length, 0);
  const { seen, listener } = recorder();
  const subscription = session.user('a').subscribe(listener);
  assert.equal(subscription.state.type, 'pending');
  await settle();
  assert.equal(subscription.state.latestSnapshot, first);
  assert.equal(gateway.watched.length, 1);
  session.seed([['a', { ...now, version: `${BigInt(now.version) + 1n}`, name: 'newer' }], ['ghost', gateway.put('ghost')]]);
  assert.deepEqual(seen.map(({ name }) => name), ['now', 'newer']);
  assert.equal(session.user('ghost').peek().name, 'ghost');
  gateway.delete('a');
  session.seed([['a', now]]);
  assert.equal(session.user('a').peek(), null);
}));

test('12: what is seeded makes what is pending active; the gateway is asked all the same, and its answer counts', scripted(async ({ gateway, open }) => {
  const old = gateway.put('a', { name: 'old' });
  gateway.put('a', { name: 'now' });
  const session = open();
  const { names, listener } = recorder();
  const subscription = session.user('a').subscribe(listener);
  session.seed([['a', old]]);
  assert.equal(subscription.state.type, 'active');
  assert.equal((await session.user('a').get()).name, 'now', 'a get waits');
  assert.deepEqual(names(), ['old', 'now']);
}));

test('3: what is no snapshot is not seeded', scripted(async ({ gateway, open }) => {
  const user = gateway.put('a');
  const session = open();
  const { version: _, ...unversioned } = user;
  for (const bad of [unversioned, {}, 5, 'a', [], undefined, { ...user, version: 'x' }, { ...user, version: -1 }, { ...user, id: 'b' }, { ...user, custom: () => 1 }]) {
    assert.throws(() => session.seed([['a', bad]]), { code: 'INVALID_INPUT' }, JSON.stringify(bad));
  }
  assert.throws(() => session.seed([['', user]]), { code: 'INVALID_INPUT' });
  assert.equal(session.user('a').peek(), undefined);
  await session.close();
  session.seed([['a', user]]);
  assert.equal(session.user('a').peek().id, 'a', 'there is nothing to close');
}));

test('14: what was seen is known although it is not watched any more', scripted(async ({ clock, gateway, open }) => {
  gateway.put('a');
  const session = open();
  const user = await session.user('a').get();
  await clock.advance(120_000);
  assert.equal(gateway.live.length, 0);
  assert.equal(session.user('a').peek(), user);
}));
