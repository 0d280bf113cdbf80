import assert from 'node:assert/strict';
import test from 'node:test';

import { recorder, scripted, settle, tokenOf } from './setup.mjs';

const seconds = (clock, more) => Math.floor(clock.wall / 1000) + more;

test('43: who takes long to make a token is asked once, by all sockets', scripted(async ({ clock, gateway, open }) => {
  gateway.limits = { messageBytes: 100_000, subscriptions: 10, watchedUsers: 1 };
  let asked = 0;
  const session = open({
    token: tokenOf({ sub: 'ann', exp: seconds(clock, 60) }),
    onNeedToken: () =>
      new Promise((resolve) => {
        asked++;
        setTimeout(() => resolve(tokenOf({ sub: 'ann', exp: seconds(clock, 600) })), 20_000);
      }),
  });
  for (const id of ['a', 'b', 'c']) session.user(id).subscribe();
  await clock.advance(55_000);
  assert.equal(asked, 1);
  assert.equal(gateway.sockets.length, 3);
  for (const { token } of gateway.sockets) assert.equal(token, tokenOf({ sub: 'ann', exp: seconds(clock, 595) }));
}));

test('43: a token that lasts for longer than timers do', scripted(async ({ clock, gateway, open }) => {
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

test(
  '44: a session that has failed is idle with another token, and says so',
  scripted(async ({ clock, gateway, open }) => {
    gateway.refuseToken = (token) => (token === 'good' ? undefined : [4403, 'Forbidden']);
    const session = open({ token: 'bad', onError: () => {} });
    const statuses = [];
    session.onStatusChange((status) => statuses.push(status));
    await assert.rejects(session.user('a').get(), { code: 'UNAUTHENTICATED' });
    session.setToken('good');
    assert.deepEqual(statuses, ['connecting', 'failed', 'idle']);
    const user = session.user('a').get();
    await clock.advance(1000);
    assert.equal(await user, null);
  }),
);
