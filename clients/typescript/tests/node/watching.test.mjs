import assert from 'node:assert/strict';
import test from 'node:test';

import { recorder, scripted, settle } from './setup.mjs';

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
