import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import test from 'node:test';

import { recorder, scripted, settle } from './setup.mjs';

test('19, 20, 21, 22: from pending to active to unsubscribed', scripted(async ({ gateway, open }) => {
  gateway.put('a');
  const subscription = open().user('a').subscribe();
  assert.deepEqual(subscription.state, { type: 'pending' });
  const connected = await subscription.connected;
  assert.equal(connected.type, 'active');
  assert.equal(connected.latestSnapshot.id, 'a');
  assert.equal(subscription.state, connected);
  subscription.unsubscribe();
  subscription.unsubscribe();
  assert.deepEqual(await subscription.terminated, { type: 'unsubscribed' });
  assert.equal(await subscription.connected, connected);
}));

test('20, 21: what ends before its first snapshot rejects, with nobody listening too', scripted(async ({ open }) => {
  const session = open();
  const subscription = session.user('a').subscribe();
  const { connected } = subscription;
  subscription.unsubscribe();
  await assert.rejects(connected, { code: 'SUBSCRIPTION_ENDED' });
  await assert.rejects(session.user('a').subscribe(undefined, { signal: AbortSignal.abort() }).connected, { code: 'SUBSCRIPTION_ENDED' });
  session.user('a').subscribe().connected; // nobody listens: no unhandled rejection
  await settle();
}));

test('19: an AbortSignal unsubscribes, and is let go of', scripted(async ({ open }) => {
  const session = open();
  const controller = new AbortController();
  const first = session.user('a').subscribe(undefined, { signal: controller.signal });
  const many = session.users(['a', 'b']).subscribe(undefined, { signal: controller.signal });
  const online = session.user('a').subscribeOnline(undefined, { signal: controller.signal });
  await first.connected;
  session.user('a').subscribe(undefined, { signal: controller.signal }).unsubscribe();
  assert.equal(getEventListeners(controller.signal, 'abort').length, 3);
  controller.abort();
  for (const { state } of [first, many, online]) assert.equal(state.type, 'unsubscribed');
}));

test('19, 25: as an async iterable: the current one and those that follow, the last one never missed', scripted(async ({ gateway, open }) => {
  gateway.put('a', { name: '0' });
  const subscription = open().user('a').subscribe();
  const names = [];
  const reading = (async () => {
    for await (const user of subscription) names.push(user?.name ?? null);
  })();
  await settle();
  gateway.set('a', { name: '1' });
  gateway.set('a', { name: '2' });
  await settle();
  gateway.set('a', { name: '3' });
  gateway.set('a', { name: '2' });
  await settle();
  gateway.delete('a');
  await settle();
  subscription.unsubscribe();
  await reading;
  assert.deepEqual(names, ['0', '2', null]);
  for await (const last of subscription) assert.equal(last, null);
}));

test('19: an async iterable throws what the subscription ends with', scripted(async ({ gateway, open }) => {
  gateway.door = [4400, 'bad'];
  const subscription = open({ onError: () => {} }).user('a').subscribe();
  await assert.rejects(async () => { for await (const _ of subscription) assert.fail(); }, { code: 'PROTOCOL_ERROR' });
}));

test('23: one that comes later is active one turn later', scripted(async ({ gateway, open }) => {
  gateway.put('a');
  const session = open();
  await session.user('a').get();
  const subscription = session.user('a').subscribe();
  assert.equal(subscription.state.type, 'pending');
  await Promise.resolve();
  assert.equal(subscription.state.type, 'active');
}));

test('24: what a callback throws is logged and breaks nothing; a callback may subscribe and unsubscribe', scripted(async ({ gateway, open, logged }) => {
  gateway.put('a', { name: '0' });
  const session = open();
  const { names, listener } = recorder();
  const later = recorder();
  session.user('a').subscribe(() => { throw new Error('of the application'); });
  session.user('a').subscribe(async () => { throw new Error('of the application, later'); });
  const second = session.user('a').subscribe(() => {
    second.unsubscribe();
    session.user('a').subscribe(later.listener);
  });
  session.user('a').subscribe(listener);
  session.onStatusChange(() => { throw new Error('of the application'); });
  await settle();
  gateway.set('a', { name: '1' });
  await settle();
  assert.deepEqual(names(), ['0', '1']);
  assert.deepEqual(later.names(), ['0', '1']);
  assert.ok(logged.length >= 4);
  assert.throws(() => session.user('a').subscribe('no function'), { code: 'INVALID_INPUT' });
}));

test('26: many users are one subscription, shown once a turn', scripted(async ({ gateway, open }) => {
  for (const id of ['a', 'b', 'c']) gateway.put(id, { name: id });
  const session = open();
  const { seen, listener } = recorder();
  const refs = session.users(['c', 'a', 'nobody', 'a']);
  const many = refs.subscribe(listener);
  assert.equal(many.state.type, 'pending');
  await many.connected;
  assert.deepEqual([...seen[0]].map(([id, user]) => [id, user && user.name]), [['c', 'c'], ['a', 'a'], ['nobody', null]]);
  assert.throws(() => seen[0].set('a', null), TypeError);
  assert.throws(() => seen[0].clear(), TypeError);
  gateway.set('a', { name: 'A' });
  gateway.set('c', { name: 'C' });
  gateway.set('b', { name: 'B' });
  await settle();
  assert.deepEqual(seen.slice(1).map((users) => [...users.values()].map((user) => user && user.name)), [['C', 'A', null]]);
  gateway.set('a', { name: 'x' });
  gateway.set('a', { name: 'A' });
  await settle();
  assert.equal(seen.length, 2, 'equal ones are not shown twice in a row');
  assert.deepEqual((await refs.get()).map((user) => user && user.name), ['C', 'A', null, 'A']);
  assert.equal(gateway.subscribed.length, 1);
  const none = recorder();
  await session.users([]).subscribe(none.listener).connected;
  assert.deepEqual([...none.seen[0]], []);
  many.unsubscribe();
  assert.equal(many.state.type, 'unsubscribed');
}));

test('26: it ends as error if one of them does', scripted(async ({ gateway, open }) => {
  gateway.hook = (socket, { id, type }) => {
    if (type !== 'subscribe') return false;
    const errors = [{ message: 'broken', path: ['usersChanged', 1, 'user'], extensions: { code: 'FORBIDDEN' } }];
    socket.next(id, { usersChanged: [{ id: 'a', user: null }, { id: 'b', user: null }] }, errors);
    return true;
  };
  const many = open().users(['a', 'b']).subscribe();
  assert.equal((await many.terminated).error.code, 'FORBIDDEN');
  await assert.rejects(many.connected, { code: 'FORBIDDEN' });
}));

test('27: subscribeOnline shows a user and whether it is connected; equal ones share one on the wire', scripted(async ({ clock, gateway, open }) => {
  gateway.put('a', { name: 'A' });
  const session = open();
  const { seen, listener } = recorder();
  const first = session.user('a').subscribeOnline(listener);
  const second = session.user('a').subscribeOnline();
  await second.connected;
  assert.equal(gateway.subscribed.length, 1);
  gateway.setOnline('a', true);
  gateway.setOnline('a', true);
  gateway.set('a', { name: 'B' });
  assert.deepEqual(seen.map(({ user, isConnected }) => [user.name, isConnected]), [['A', false], ['A', true], ['B', true]]);
  assert.ok(Object.isFrozen(seen[0]));
  gateway.cut();
  await clock.advance(600);
  assert.equal(seen.length, 3);
  first.unsubscribe();
  await settle();
  assert.deepEqual(gateway.socket.completed, []);
  second.unsubscribe();
  await clock.advance(29_000);
  assert.deepEqual(gateway.socket.completed, [], 'it lingers');
  const third = session.user('a').subscribeOnline();
  await third.connected;
  assert.equal(gateway.socket.subscribed.length, 1);
  third.unsubscribe();
  await clock.advance(31_000);
  assert.equal(gateway.live.flatMap(({ operations }) => [...operations]).length, 0);
}));
