import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import test from 'node:test';

import { recorder, scripted, settle } from './setup.mjs';

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
