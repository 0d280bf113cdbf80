import assert from 'node:assert/strict';
import test from 'node:test';

import { scripted, settle } from './setup.mjs';

const CUTS = Number(process.env.USERLINE_TEST_CUTS ?? 500);
const SEED = Number(process.env.USERLINE_TEST_SEED ?? 20261128);

/** Numbers from 0 to below 1 by a seed (mulberry32). */
function randomOf(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const sameUser = (a, b) => JSON.stringify({ ...a, version: 0 }) === JSON.stringify({ ...b, version: 0 });

test(`12, 25, 34, 35: ${CUTS} random cuts: no final state missed, no equal snapshot twice, no version back (seed ${SEED})`, scripted(async ({ clock, gateway, open, logged }) => {
  const random = randomOf(SEED);
  const pick = (list) => list[Math.floor(random() * list.length)];
  const mathRandom = Math.random;
  Math.random = random;
  gateway.limits = { messageBytes: 4000, subscriptions: 8, watchedUsers: 25 };
  const session = open({ onError: assert.fail });
  const ids = Array.from({ length: 40 }, (_, n) => `u${n}`);
  const watching = new Map(); // of subscriptions to what they were shown
  const reconnections = [];
  const watch = (id) => {
    const shown = [];
    const subscription = session.user(id).subscribe((user) => {
      if (shown.length) assert.ok(!sameUser(shown.at(-1), user), 'an equal snapshot twice');
      const before = shown.findLast((each) => each);
      if (user && before) assert.ok(BigInt(user.version) > BigInt(before.version), 'a version that went back');
      shown.push(user);
    });
    watching.set(subscription, { id, shown });
  };
  const act = async () => {
    const id = pick(ids);
    const what = random();
    if (what < 0.45) gateway.set(id, { name: pick(['x', 'y', 'z']) });
    else if (what < 0.55) gateway.delete(id);
    else if (what < 0.7) watch(id);
    else if (what < 0.8 && watching.size) {
      const [subscription] = pick([...watching]);
      subscription.unsubscribe();
      watching.delete(subscription);
    } else if (what < 0.9) session.user(id).get().catch(() => {});
    else session.user(id).set({ name: pick(['p', 'q']) }).catch(() => {});
    if (random() < 0.5) await clock.advance(random() * 50);
  };
  try {
    for (const id of ids) watch(id);
    await settle();
    for (let cut = 0; cut < CUTS; cut++) {
      for (let step = random() * 6; step > 0; step--) await act();
      if (random() < 0.2) {
        gateway.isDeaf = true; // what is sent now is lost
        await act();
      }
      const { live } = gateway;
      const before = clock.time;
      if (live.length && random() < 0.5) pick(live).close(1006);
      else gateway.cut(pick([1001, 1006, 1011, 1012, 4408]));
      gateway.isDeaf = false;
      if (random() < 0.1) gateway.door = pick(['closed', [4503, 'retry after 0.2 s'], [1012, '']]);
      for (let step = random() * 6; step > 0; step--) await act();
      if (gateway.door === 'open' && gateway.live.length) reconnections.push(clock.time - before);
      if (random() < 0.3) await clock.advance(random() * 2000);
      gateway.door = 'open';
      if (cut % 10) continue;
      await clock.advance(12_000); // the longest pause, and what a dead peer takes
      for (const [subscription, { id, shown }] of watching) {
        const is = gateway.users.get(id) ?? null;
        assert.equal(subscription.state.type, 'active', id);
        assert.ok(sameUser(shown.at(-1), is), `${id} after ${cut} cuts`);
        assert.ok(sameUser(await session.user(id).get(), is));
      }
    }
    assert.ok(reconnections.length);
    // What a callback throws is logged: here, what it found wrong.
    assert.deepEqual(logged, []);
  } finally {
    Math.random = mathRandom;
  }
}));

test('34: the median reconnection takes at most half a second', scripted(async ({ clock, gateway, open }) => {
  const session = open();
  session.user('a').subscribe();
  await settle();
  const times = [];
  for (let cut = 0; cut < 101; cut++) {
    const before = clock.time;
    gateway.cut();
    while (!gateway.live.length) await clock.advance(10);
    times.push(clock.time - before);
  }
  times.sort((a, b) => a - b);
  assert.ok(times[50] <= 500, `${times[50]} ms`);
}));
