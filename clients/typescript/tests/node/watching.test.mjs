import assert from 'node:assert/strict';
import test from 'node:test';

import { scripted, settle } from './setup.mjs';

test('snapshots are frozen deeply, and what get() and peek() give is the same object while nothing changes', scripted(async ({ gateway, open }) => {
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
