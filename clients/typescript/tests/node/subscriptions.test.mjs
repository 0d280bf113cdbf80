import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import test from 'node:test';

import { recorder, refusal, scripted, settle } from './setup.mjs';

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

test('19: what cannot begin has no listener of a signal', scripted(async ({ open }) => {
  const session = open();
  await session.close();
  const { signal } = new AbortController();
  assert.throws(() => session.user('a').subscribe(undefined, { signal }), { code: 'SESSION_CLOSED' });
  assert.throws(() => session.user('a').subscribeOnline(undefined, { signal }), { code: 'SESSION_CLOSED' });
  assert.throws(() => session.users(['a', 'b']).subscribe(undefined, { signal }), { code: 'SESSION_CLOSED' });
  assert.equal(getEventListeners(signal, 'abort').length, 0);
}));

test('24: what a callback promises and does not keep is logged and breaks nothing', scripted(async ({ gateway, open, logged }) => {
  gateway.put('a', { name: '0' });
  const session = open();
  const { names, listener } = recorder();
  session.user('a').subscribe(async () => { throw new Error('of the application, later'); });
  session.user('a').subscribe(listener);
  session.onStatusChange(async () => { throw new Error('of another listener'); });
  await settle();
  gateway.set('a', { name: '1' });
  await settle();
  assert.deepEqual(names(), ['0', '1']);
  assert.deepEqual(logged.map(([, error]) => error.message), ['of another listener', 'of another listener', 'of the application, later', 'of the application, later']);
}));

test('a listener of the status that is given twice is two, each with an end of its own', scripted(async ({ open }) => {
  const session = open();
  const { seen, listener } = recorder();
  const end = session.onStatusChange(listener);
  session.onStatusChange(listener);
  end();
  await session.user('a').get();
  assert.deepEqual(seen, ['connecting', 'connected']);
}));

test('28, 29: no timer waits for longer than timers can', scripted(async ({ clock, gateway, open }) => {
  gateway.hook = (socket, { id, type, payload }) => {
    if (type !== 'subscribe' || !payload.query.includes('usersChanged')) return false;
    socket.tell({ id, type: 'error', payload: [refusal('RATE_LIMITED', { retryAfterSeconds: 86_400 * 30 })] });
    return true;
  };
  for (const timeout of [undefined, Infinity, 1e12]) {
    const session = open({ timeout });
    session.user('a').subscribe();
    session.user('b').get().catch(() => {});
    session.user('c').set({ name: 'C' });
    await settle();
    for (const { at } of clock.timers.values()) assert.ok(at - clock.time < 2 ** 31);
  }
}));

test('18: what JSON has no form for is refused at once', scripted(async ({ gateway, open }) => {
  const session = open();
  const circle = {};
  circle.self = circle;
  for (const input of [
    { locale: NaN }, { locale: Infinity }, { custom: circle }, { name: 1n }, { name: () => {} }, { name: Symbol('x') }, { email: [() => {}] },
  ]) {
    await assert.rejects(session.user('a').set(input), { code: 'INVALID_INPUT' });
  }
  assert.equal(gateway.sockets.length, 0);
}));
