import assert from 'node:assert/strict';
import test from 'node:test';

import { recorder, scripted, settle, tokenOf } from './setup.mjs';

const seconds = (clock, more) => Math.floor(clock.wall / 1000) + more;

test('42: the token travels in connection_init, a new one in a ping on every live socket', scripted(async ({ clock, gateway, open }) => {
  gateway.limits = { messageBytes: 100_000, subscriptions: 10, watchedUsers: 1 };
  const one = tokenOf({ sub: 'ann', n: 1 });
  const session = open({ token: one });
  assert.equal(session.currentUser, session.user('ann'));
  const { seen, listener } = recorder();
  session.user('a').subscribe(listener);
  session.user('b').subscribe(listener);
  await settle();
  assert.deepEqual(gateway.sockets.map(({ token }) => token), [one, one]);
  const two = tokenOf({ sub: 'ann', n: 2 });
  session.setToken(two);
  await settle();
  assert.deepEqual(gateway.live.map(({ token }) => token), [two, two]);
  const other = tokenOf({ sub: 'bob' });
  session.setToken(other);
  await clock.advance(600);
  assert.deepEqual(gateway.live.map(({ token }) => token), [other, other]);
  assert.equal(gateway.sockets.length, 4, 'somebody else has sockets of its own');
  assert.equal(session.currentUser, session.user('bob'));
  assert.equal(seen.length, 2);
  gateway.socket.tell({ type: 'ping' });
  await settle();
  assert.equal(gateway.socket.received.at(-1).type, 'pong');
}));

test('43: who makes tokens is asked when there is none, once for all sockets, and before one expires', scripted(async ({ clock, gateway, open }) => {
  gateway.limits = { messageBytes: 100_000, subscriptions: 10, watchedUsers: 1 };
  const asked = [];
  const session = open({
    onNeedToken: async () => {
      asked.push(clock.time);
      return tokenOf({ sub: 'ann', exp: seconds(clock, 600) });
    },
  });
  const { seen, listener } = recorder();
  for (const id of ['a', 'b', 'c']) session.user(id).subscribe(listener);
  await settle();
  assert.equal(asked.length, 1);
  assert.equal(gateway.live.length, 3);
  await clock.advance(565_000);
  assert.equal(asked.length, 1);
  await clock.advance(10_000);
  assert.equal(asked.length, 2);
  await clock.advance(3_600_000);
  assert.ok(asked.length <= 9);
  assert.equal(gateway.sockets.length, 3);
  assert.equal(seen.length, 3);
  const before = asked.length;
  gateway.cut(4410, 'Token no longer valid');
  await clock.advance(600);
  assert.equal(asked.length, before + 1);
  assert.equal(gateway.live.length, 3);
}));

for (const code of [4403, 4410]) {
  test(`43: after ${code} there is another token`, scripted(async ({ clock, gateway, open }) => {
    let number = 0;
    const session = open({ onNeedToken: () => tokenOf({ sub: 'ann', number: ++number }), onError: assert.fail });
    const subscription = session.user('a').subscribe();
    await settle();
    gateway.cut(code, 'Token expired');
    await clock.advance(600);
    assert.equal(number, 2);
    assert.equal(gateway.live.length, 1);
    assert.equal(subscription.state.type, 'active');
  }));
}

test('43: the next token is shown at once', scripted(async ({ gateway, open }) => {
  let number = 0;
  gateway.refuseToken = (token) => token === 't1' && [4403, 'Forbidden'];
  const session = open({ onNeedToken: () => `t${++number}`, onError: assert.fail });
  await session.user('a').get();
  assert.deepEqual(gateway.sockets.map(({ token }) => token), ['t1', 't2']);
}));

test('43: if asking fails, it is asked again after a pause; a token that is set meanwhile ends the waiting', scripted(async ({ clock, gateway, open, logged }) => {
  let asked = 0;
  const session = open({
    onNeedToken: () => {
      if (++asked < 3) throw new Error('no');
      return new Promise(() => {});
    },
  });
  const subscription = session.user('a').subscribe();
  await clock.advance(2000);
  assert.equal(asked, 3);
  assert.equal(logged.length, 2);
  assert.equal(gateway.sockets.length, 0);
  const getting = session.user('a').get().catch((error) => error);
  await clock.advance(15_100);
  assert.match((await getting).message, /onNeedToken/);
  session.setToken('mine');
  await settle();
  assert.equal(subscription.state.type, 'active');
  assert.equal(gateway.socket.token, 'mine');
}));

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

test('43: a clock that is wrong does not make it ask without end', scripted(async ({ clock, gateway, open }) => {
  let asked = 0;
  const session = open({ onNeedToken: () => (asked++, tokenOf({ sub: 'ann', exp: seconds(clock, -3600) })) });
  session.user('a').subscribe();
  await clock.advance(600_000);
  assert.equal(asked, 1);
  assert.equal(gateway.live.length, 1);
}));

test('43: a token that lasts for longer than timers do', scripted(async ({ clock, gateway, open }) => {
  let asked = 0;
  const session = open({ onNeedToken: () => (asked++, tokenOf({ sub: 'ann', exp: seconds(clock, 86_400 * 365) })) });
  await session.user('a').get();
  assert.equal(asked, 1);
  for (const { at } of clock.timers.values()) assert.ok(at - clock.time < 2 ** 31);
  assert.equal(gateway.sockets.length, 1);
}));

test('38, 43: an hour of sleep with an expired token is one call, and subscriptions go on', scripted(async ({ clock, gateway, open }) => {
  let asked = 0;
  let given;
  const session = open({ onNeedToken: async () => (asked++, tokenOf({ sub: 'ann', exp: (given = seconds(clock, 600)) })) });
  gateway.put('a', { name: 'before' });
  const { names, listener } = recorder();
  const subscription = session.user('a').subscribe(listener);
  await clock.advance(5000);
  assert.equal(asked, 1);
  clock.sleep(3_600_000);
  gateway.isDeaf = true;
  gateway.put('a', { name: 'after' });
  clock.move(0);
  await clock.advance(900);
  gateway.isDeaf = false;
  await clock.advance(2000);
  assert.equal(asked, 2);
  const shown = gateway.sockets.slice(1).map(({ received }) => received[0]?.payload.Authorization.slice(7));
  assert.deepEqual([...new Set(shown)], [tokenOf({ sub: 'ann', exp: given })], 'the token that is over is not tried');
  assert.deepEqual(names(), ['before', 'after']);
  assert.equal(subscription.state.type, 'active');
}));

test('44: with nobody to ask, a refused token ends everything, and the application is told once', scripted(async ({ clock, gateway, open }) => {
  gateway.limits = { messageBytes: 100_000, subscriptions: 10, watchedUsers: 1 };
  const errors = [];
  const session = open({ token: tokenOf({ sub: 'ann' }), onError: (error) => errors.push(error) });
  const subscriptions = ['a', 'b', 'c'].map((id) => session.user(id).subscribe());
  await settle();
  const writing = session.user('a').set({ name: 'A' }).catch((error) => error);
  gateway.refuseToken = (token) => token !== 'good' && [4403, 'Forbidden: the token is not good.'];
  gateway.cut(4403, 'Forbidden: the token is not good.');
  await clock.advance(5000);
  assert.equal(errors.length, 1);
  assert.equal(errors[0].code, 'UNAUTHENTICATED');
  assert.equal(errors[0].message, 'the token is not good.');
  for (const { state } of subscriptions) assert.equal(state.error, errors[0]);
  assert.equal((await writing).code, 'UNAUTHENTICATED');
  session.setToken('good');
  await session.user('a').get();
  assert.equal(session.status, 'connected');
}));

test('44: if the next token is refused too, that is the end', scripted(async ({ clock, gateway, open }) => {
  let asked = 0;
  gateway.refuseToken = () => [4403, 'Forbidden'];
  const errors = [];
  const session = open({ onNeedToken: () => `t${++asked}`, onError: (error) => errors.push(error) });
  const subscription = session.user('a').subscribe();
  await clock.advance(60_000);
  assert.equal(asked, 2);
  assert.equal(errors.length, 1);
  assert.equal(subscription.state.error, errors[0]);
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
