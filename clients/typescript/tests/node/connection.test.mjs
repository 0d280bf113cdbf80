import assert from 'node:assert/strict';
import test from 'node:test';

import { createSession } from '../../dist/index.js';
import { recorder, scripted, settle } from './setup.mjs';

test('the status says what has become of the connection', scripted(async ({ clock, gateway, open }) => {
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

test('one gateway may be named in several ways; what is no URL is refused', scripted(async ({ gateway }) => {
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
