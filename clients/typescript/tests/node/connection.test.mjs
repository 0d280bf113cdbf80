import assert from 'node:assert/strict';
import test from 'node:test';

import { createSession } from '../../dist/index.js';
import { recorder, refusal, scripted, settle } from './setup.mjs';

/** Runs a test with a page, whose events it makes; nobody may listen to them in the end. */
const inAPage = (run) => async () => {
  const target = new EventTarget();
  const listening = [];
  globalThis.addEventListener = (...given) => {
    listening.push(given);
    target.addEventListener(...given);
  };
  globalThis.removeEventListener = (...given) => {
    listening.splice(listening.findIndex((other) => given.every((each, place) => each === other[place])), 1);
    target.removeEventListener(...given);
  };
  globalThis.document = { hidden: false };
  try {
    await scripted((world) => run({ ...world, target }))();
    assert.deepEqual(listening, []);
  } finally {
    for (const name of ['addEventListener', 'removeEventListener', 'document']) delete globalThis[name];
  }
};

test('38: a page that is put aside leaves no socket, and is back at once', inAPage(async ({ clock, gateway, open, target }) => {
  gateway.put('a');
  const session = open();
  const { names, listener } = recorder();
  target.dispatchEvent(new Event('pagehide')); // there is nothing yet
  await settle();
  assert.equal(session.status, 'idle');
  session.user('a').subscribe(listener);
  await settle();
  for (const [away, back] of [
    [() => target.dispatchEvent(new Event('pagehide')), () => target.dispatchEvent(new Event('pageshow'))],
    [() => target.dispatchEvent(new Event('freeze')), () => target.dispatchEvent(new Event('resume'))],
  ]) {
    away();
    assert.equal(gateway.live.length, 0);
    await clock.advance(900); // as long as the page is still stopping
    assert.equal(gateway.live.length, 0);
    gateway.set('a', { name: `after ${gateway.sockets.length}` });
    back();
    await settle();
    assert.equal(gateway.live.length, 1);
    assert.equal(session.status, 'connected');
  }
  target.dispatchEvent(new Event('pagehide')); // one that does not stop is back by itself
  await clock.advance(1100);
  assert.equal(gateway.live.length, 1);
  assert.deepEqual(names(), ['a', 'after 1', 'after 2']);
}));

test('who hears of a status may connect anew, or close the session', scripted(async ({ clock, gateway, open }) => {
  for (const act of ['reconnect', 'close']) {
    const session = open();
    session.user('a').subscribe();
    await settle();
    const statuses = [];
    const stop = session.onStatusChange((status) => {
      statuses.push(status);
      if (status !== 'reconnecting') return;
      stop();
      void session[act]();
    });
    const before = gateway.sockets.length;
    gateway.cut(1006);
    await settle();
    await clock.advance(1000);
    assert.deepEqual(statuses, ['reconnecting']);
    assert.equal(session.status, act === 'close' ? 'closed' : 'connected');
    assert.equal(gateway.sockets.length - before, act === 'close' ? 0 : 1);
    await session.close();
  }
}));

test('who hears that a connection is made may connect anew, set a token, or close the session', scripted(async ({ clock, gateway, open }) => {
  for (const act of ['reconnect', 'setToken', 'close']) {
    const session = open();
    const stop = session.onStatusChange((status) => {
      if (status !== 'connecting') return;
      stop();
      void session[act](...(act === 'setToken' ? ['e30.e30.x'] : []));
    });
    const before = gateway.sockets.length;
    session.user('a').subscribe();
    await settle();
    await clock.advance(20_000);
    assert.equal(session.status, act === 'close' ? 'closed' : 'connected');
    assert.equal(gateway.sockets.length - before, act === 'close' ? 0 : 1);
    await session.close();
    assert.equal(clock.timers.size, 0);
  }
}));

test('a machine that slept while nothing was to do makes one socket afterwards', scripted(async ({ clock, gateway, open }) => {
  const session = open();
  await Promise.all([session.user('a').get(), clock.advance(0)]);
  await clock.advance(61_000);
  assert.equal(session.status, 'idle');
  clock.sleep(60_000);
  session.user('b').subscribe();
  await settle();
  await clock.advance(20_000);
  assert.equal(session.status, 'connected');
  assert.equal(gateway.sockets.length, 2);
}));

test('a token function that fails is one failure, however many have asked to connect', scripted(async ({ clock, open }) => {
  const { random } = Math;
  Math.random = () => 0.999;
  try {
    let refuse;
    let asked = 0;
    const session = open({ onNeedToken: () => new Promise((_, reject) => (asked++, (refuse = reject))) });
    session.user('a').subscribe();
    await settle();
    for (let times = 0; times < 5; times++) session.reconnect();
    await settle();
    refuse(new Error('none'));
    await settle();
    assert.equal(asked, 1);
    await clock.advance(1000);
    assert.equal(asked, 2);
  } finally {
    Math.random = random;
  }
}));

test('reconnect() connects anew, and nobody notices', scripted(async ({ gateway, open }) => {
  gateway.put('a');
  const session = open();
  const { seen, listener } = recorder();
  session.user('a').subscribe(listener);
  await settle();
  const statuses = [];
  session.onStatusChange((status) => statuses.push(status));
  session.reconnect();
  await settle();
  assert.deepEqual(statuses, ['reconnecting', 'connected']);
  assert.equal(gateway.sockets.length, 2);
  assert.equal(gateway.live.length, 1);
  assert.equal(seen.length, 1);
}));
