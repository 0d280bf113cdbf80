import assert from 'node:assert/strict';
import test from 'node:test';

import { recorder, refusal, scripted, settle } from './setup.mjs';

/** Refuses the next operations with these errors, one after the other: in a `next`, or as an `error`; undefined: ends it. */
function refuseWith(gateway, refusals, kind = 'next') {
  gateway.hook = (socket, { id, type }) => {
    if (type !== 'subscribe' || !refusals.length) return false;
    const errors = refusals.shift();
    if (kind === 'error') socket.tell({ id, type: 'error', payload: errors });
    else {
      if (errors) socket.next(id, null, errors);
      socket.tell({ id, type: 'complete' });
    }
    return true;
  };
}

test('28: what passes is tried again after the time that the gateway says, with a tenth of jitter', scripted(async ({ clock, gateway, open }) => {
  gateway.put('a');
  for (const code of ['STORE_UNAVAILABLE', 'RATE_LIMITED']) {
    refuseWith(gateway, [[refusal(code, { retryAfterSeconds: 3 })]]);
    const { random } = Math;
    Math.random = () => 0.99;
    const session = open();
    const subscription = session.user('a').subscribe();
    const getting = session.user('a').get();
    await settle();
    const before = gateway.subscribed.length;
    Math.random = random;
    await clock.advance(3250);
    assert.equal(gateway.subscribed.length, before);
    await clock.advance(60);
    assert.equal(subscription.state.type, 'active');
    assert.equal((await getting).id, 'a');
  }
}));

test('28: without it after growing pauses, and so is what the gateway completes', scripted(async ({ clock, gateway, open }) => {
  refuseWith(gateway, [undefined, [refusal('STORE_UNAVAILABLE')], undefined]);
  const subscription = open().user('a').subscribe();
  await clock.advance(5000);
  assert.equal(subscription.state.type, 'active');
  assert.equal(gateway.subscribed.length, 4);
}));

test('28: a watch that nobody uses any more is not tried again', scripted(async ({ clock, gateway, open }) => {
  refuseWith(gateway, [[refusal('STORE_UNAVAILABLE', { retryAfterSeconds: 3 })]]);
  const session = open();
  const subscription = session.user('a').subscribe();
  await settle();
  subscription.unsubscribe();
  await clock.advance(10_000);
  assert.equal(gateway.subscribed.length, 1);
  session.user('a').subscribe();
  await settle();
  assert.equal(gateway.subscribed.length, 2);
}));

test('28: what only lingers is let go, and asked for anew at once', scripted(async ({ gateway, open }) => {
  const session = open();
  await session.user('a').get();
  gateway.socket.tell({ id: '1', type: 'error', payload: [refusal('RATE_LIMITED', { retryAfterSeconds: 60 })] });
  await session.user('a').get();
  assert.equal(gateway.subscribed.length, 2);
}));

test('29: nothing is pending for ever: it ends with the refusal, or for time that has run out', scripted(async ({ clock, gateway, open }) => {
  const session = open();
  refuseWith(gateway, Array(50).fill([refusal('STORE_UNAVAILABLE', { retryAfterSeconds: 1 })]));
  const refused = session.user('a').subscribe();
  const getting = session.user('b').get().catch((error) => error);
  await clock.advance(15_100);
  assert.equal(refused.state.error?.code, 'STORE_UNAVAILABLE');
  assert.equal((await getting).code, 'STORE_UNAVAILABLE');
  gateway.hook = (socket, { type }) => type === 'subscribe';
  const unanswered = session.user('c').subscribe();
  await clock.advance(14_000);
  assert.equal(unanswered.state.type, 'pending');
  await clock.advance(1100);
  assert.equal(unanswered.state.error.code, 'CONNECTION_TIMEOUT');
  await assert.rejects(unanswered.connected, { code: 'CONNECTION_TIMEOUT' });
}));

test('29: without a connection it stays pending; a get ends', scripted(async ({ clock, gateway, open }) => {
  gateway.door = 'closed';
  const session = open();
  const subscription = session.user('a').subscribe();
  const getting = session.user('a').get().catch((error) => error);
  await clock.advance(15_100);
  assert.equal((await getting).code, 'DISCONNECTED');
  await clock.advance(100_000);
  assert.equal(subscription.state.type, 'pending');
  gateway.door = 'open';
  await clock.advance(10_100);
  assert.equal(subscription.state.type, 'active');
}));

for (const code of [1013, 4430, 4431, 4503]) {
  test(`29: a refusal of a socket counts (${code})`, scripted(async ({ clock, gateway, open }) => {
    gateway.door = [code, 'too many'];
    const subscription = open().user('a').subscribe();
    await clock.advance(30_000);
    const { error } = subscription.state;
    assert.equal(error?.code, 'CONNECTION_REFUSED');
    assert.equal(error.closeCode, code);
  }));
}

test('30: what was active stays so while what passes is tried again', scripted(async ({ clock, gateway, open }) => {
  gateway.put('a', { name: 'one' });
  const { names, listener } = recorder();
  const subscription = open().user('a').subscribe(listener);
  await settle();
  gateway.socket.tell({ id: '1', type: 'error', payload: [refusal('RATE_LIMITED', { retryAfterSeconds: 20 })] });
  await clock.advance(19_000);
  assert.equal(subscription.state.type, 'active');
  gateway.set('a', { name: 'two' });
  await clock.advance(4000);
  assert.deepEqual(names(), ['one', 'two']);
}));

for (const kind of ['next', 'error']) {
  test(`31: any other refusal ends the subscriptions to its users, in both forms (${kind})`, scripted(async ({ gateway, open }) => {
    const session = open({ onError: assert.fail });
    const other = session.user('other').subscribe();
    await other.connected;
    refuseWith(gateway, [[refusal('FORBIDDEN')]], kind);
    const subscription = session.user('a').subscribe();
    await assert.rejects(session.user('a').get(), { code: 'FORBIDDEN' });
    assert.equal((await subscription.terminated).error.code, 'FORBIDDEN');
    assert.equal(other.state.type, 'active');
    await session.user('a').subscribe().connected;
  }));
}

test('32: a gateway without usersChanged in this form is told as an error', scripted(async ({ gateway, open }) => {
  const session = open();
  refuseWith(gateway, [[refusal('GRAPHQL_VALIDATION_FAILED')]], 'error');
  assert.equal((await session.user('a').subscribe().terminated).error.code, 'GRAPHQL_VALIDATION_FAILED');
  for (const data of [{ usersChanged: { id: 'b' } }, { usersChanged: [{ id: 'b', user: { id: 'b', name: 'B' } }] }, {}]) {
    gateway.hook = (socket, { id, type }) => type === 'subscribe' && (socket.next(id, data), true);
    assert.equal((await session.user('b').subscribe().terminated).error.code, 'PROTOCOL_ERROR');
  }
}));

test('7, 29: what does not fit a socket goes to another one, up to 32', scripted(async ({ clock, gateway, open }) => {
  gateway.limits = { messageBytes: 1_000_000, subscriptions: 1000, watchedUsers: 10 };
  const session = open();
  const subscriptions = Array.from({ length: 330 }, (_, n) => session.user(`u${n}`).subscribe());
  await settle();
  assert.equal(gateway.live.length, 32);
  const types = subscriptions.map(({ state }) => state.type);
  assert.equal(types.filter((type) => type === 'active').length, 320);
  assert.equal(subscriptions.at(-1).state.error.code, 'TOO_MANY_WATCHES');
  for (const socket of gateway.live) {
    assert.ok([...socket.operations.values()].reduce((sum, ids) => sum + ids.size, 0) <= 10);
  }
  for (const subscription of subscriptions) subscription.unsubscribe();
  await clock.advance(65_000);
  assert.equal(gateway.live.length, 0);
}));

test('7: 10,000 at once all become active', scripted(async ({ gateway, open }) => {
  const session = open();
  const subscriptions = Array.from({ length: 10_000 }, (_, n) => session.user(`u${n}`).subscribe());
  await Promise.all(subscriptions.map(({ connected }) => connected));
  assert.equal(gateway.live.length, 2);
  assert.equal(gateway.subscribed.length, 10);
}));

test('9: room that nobody wants is taken before another socket is opened', scripted(async ({ gateway, open }) => {
  gateway.limits = { messageBytes: 1_000_000, subscriptions: 1000, watchedUsers: 10 };
  const session = open();
  const first = Array.from({ length: 10 }, (_, n) => session.user(`u${n}`).subscribeOnline());
  const users = session.users(Array.from({ length: 10 }, (_, n) => `u${n}`)).subscribe();
  await users.connected;
  users.unsubscribe();
  // They linger, and are wanted: a second socket.
  await session.user('next').get();
  assert.equal(gateway.live.length, 2);
  for (const each of first) assert.equal(each.state.type, 'active');
}));

test('9: users whom nobody wants make room, without another socket', scripted(async ({ clock, gateway, open }) => {
  gateway.limits = { messageBytes: 1_000_000, subscriptions: 1000, watchedUsers: 10 };
  const session = open();
  const { seen, listener } = recorder();
  const first = Array.from({ length: 10 }, (_, n) => session.user(`u${n}`).subscribe(listener));
  await settle();
  for (const subscription of first.slice(0, 4)) subscription.unsubscribe();
  await clock.advance(31_000);
  assert.equal(gateway.subscribed.length, 1);
  await session.users(['x', 'y', 'z']).get();
  assert.equal(gateway.sockets.length, 1);
  assert.equal(gateway.watched.at(-1).length, 9);
  assert.equal(seen.length, 10);
}));

test('7, 27: subscribeOnline takes part in the limits', scripted(async ({ gateway, open }) => {
  gateway.limits = { messageBytes: 1_000_000, subscriptions: 4, watchedUsers: 100 };
  const session = open();
  const all = Array.from({ length: 10 }, (_, n) => session.user(`u${n}`).subscribeOnline());
  await Promise.all(all.map(({ connected }) => connected));
  assert.equal(gateway.live.length, 3);
  for (const socket of gateway.live) assert.ok(socket.operations.size <= 4);
}));

test('29: a lost connection does not put off the end of what was refused', scripted(async ({ clock, gateway, open }) => {
  refuseWith(gateway, Array(50).fill([refusal('STORE_UNAVAILABLE', { retryAfterSeconds: 60 })]));
  const subscription = open().user('a').subscribe();
  for (let second = 0; second < 15; second += 3) {
    await clock.advance(3000);
    gateway.cut();
  }
  await clock.advance(300);
  assert.equal(subscription.state.error?.code, 'STORE_UNAVAILABLE');
}));

test('29: nor does a connection that is lost before there was an answer begin it', scripted(async ({ clock, gateway, open }) => {
  gateway.hook = (socket, { type }) => type === 'subscribe';
  const subscription = open().user('a').subscribe();
  for (let cut = 0; cut < 10; cut++) {
    await clock.advance(8000);
    gateway.cut();
  }
  assert.equal(subscription.state.type, 'pending');
}));
