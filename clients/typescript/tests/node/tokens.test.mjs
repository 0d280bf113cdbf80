import assert from 'node:assert/strict';
import test from 'node:test';

import { scripted, tokenOf } from './setup.mjs';

const seconds = (clock, more) => Math.floor(clock.wall / 1000) + more;

test('a token that lasts for longer than timers do', scripted(async ({ clock, gateway, open }) => {
  let asked = 0;
  const session = open({ onNeedToken: () => (asked++, tokenOf({ sub: 'ann', exp: seconds(clock, 86_400 * 365) })) });
  await session.user('a').get();
  assert.equal(asked, 1);
  for (const { at } of clock.timers.values()) assert.ok(at - clock.time < 2 ** 31);
  assert.equal(gateway.sockets.length, 1);
}));

test('a token is checked, and a shared session takes none of another user', scripted(async ({ open }) => {
  const session = open();
  for (const token of ['', 'ä', 'a\nb', 5, null]) assert.throws(() => session.setToken(token), { code: 'INVALID_INPUT' });
  assert.equal(session.currentUser, null);
  for (const token of ['x', 'a.b.c', 'a.bnVsbA.c', 'a.W10.c', tokenOf({ tokenType: 'app', sub: 'x' }), tokenOf({ sub: '' })]) {
    session.setToken(token);
    assert.equal(session.currentUser, null);
  }
}));
