import assert from 'node:assert/strict';
import test from 'node:test';

import '../../dist/stream.js'; // so that loading it takes no time that the tests' clock knows nothing of
import { recorder, refusal, scripted, settle } from './setup.mjs';

/** Stands in for the platform's sockets, which never open, and for fetch, which the gateway answers. */
class Network {
  sockets = 0;
  asked = [];
  streams = [];
  status = 200;
  body = {};

  install() {
    const network = this;
    this.before = [globalThis.WebSocket, globalThis.fetch];
    globalThis.WebSocket = class {
      constructor() {
        network.sockets++;
        queueMicrotask(() => this.onclose?.({ code: 1006, reason: '' }));
      }
      close() {}
    };
    globalThis.fetch = async (url, { headers, body, signal }) => {
      this.asked.push({ url, headers, body: JSON.parse(body) });
      if (this.status !== 200) return Response.json(this.body, { status: this.status });
      if (headers.Accept === 'application/json') return Response.json({ data: { __typename: 'Query' } });
      const stream = { isAborted: false };
      const readable = new ReadableStream({
        start: (controller) => (stream.controller = controller),
      });
      signal.addEventListener('abort', () => (stream.isAborted = true));
      this.streams.push(stream);
      return new Response(readable, { headers: { 'Content-Type': 'text/event-stream' } });
    };
    return this;
  }

  uninstall() {
    [globalThis.WebSocket, globalThis.fetch] = this.before;
  }

  /** Writes to the latest stream, in as many pieces. */
  async write(text, pieces = 1) {
    const bytes = new TextEncoder().encode(text);
    const size = Math.ceil(bytes.length / pieces);
    for (let at = 0; at < bytes.length; at += size) {
      this.streams.at(-1).controller.enqueue(bytes.subarray(at, at + size));
      await settle();
    }
    await settle();
  }
}

const withNetwork = (run) => async () => {
  const network = new Network().install();
  try {
    await scripted((given) => run({ network, ...given, open: (options) => given.open({ WebSocket: undefined, ...options }) }))();
  } finally {
    network.uninstall();
  }
};

const event = (data, end = '\n') => `event: next${end}data: ${JSON.stringify(data)}${end}${end}`;

test('where no socket gets through, streams take their place', withNetwork(async ({ network, clock, gateway, open }) => {
  const { names, listener } = recorder();
  const session = open({ token: 'tok' });
  const subscription = session.user('a').subscribe(listener);
  await clock.advance(4000);
  assert.equal(network.sockets, 2);
  const [probe, stream] = network.asked;
  assert.deepEqual([probe.url, probe.body.query, probe.headers.Authorization], ['http://gateway/graphql', '{ __typename }', 'Bearer tok']);
  assert.deepEqual(stream.body.variables, { ids: ['a'] });
  assert.equal(stream.headers.Accept, 'text/event-stream');
  assert.equal(subscription.state.type, 'pending');
  const user = gateway.put('a', { name: '😀 one' });
  await network.write(`:\n\n${event({ data: { usersChanged: [{ id: 'a', user }] } })}`, 40);
  const later = gateway.put('a', { name: 'two' });
  await network.write(event({ data: { usersChanged: [{ id: 'a', user: later }] } }, '\r\n'));
  assert.deepEqual(names(), ['😀 one', 'two']);
  // A stream that ends without having said so was lost.
  network.streams.at(-1).controller.close();
  await clock.advance(600);
  assert.equal(network.streams.length, 2);
  assert.equal(network.sockets, 2, 'it stays with what has worked');
  await network.write(event({ data: { usersChanged: [{ id: 'a', user: later }] } }));
  assert.deepEqual(names(), ['😀 one', 'two']);
  // Its token is new: so are the streams.
  session.setToken('tok2');
  await clock.advance(100);
  assert.equal(network.streams.length, 3);
  assert.equal(network.asked.at(-1).headers.Authorization, 'Bearer tok2');
  assert.equal(network.streams[1].isAborted, true);
  // Nobody answers any more.
  const before = network.asked.length;
  await clock.advance(6000);
  assert.equal(network.asked.length, before + 1, 'a sign of life');
  await session.close();
  assert.equal(network.streams[2].isAborted, true);
}));

test('what is refused over a stream', withNetwork(async ({ network, clock, gateway, open }) => {
  const session = open({ onError: () => {} });
  const first = session.user('a').subscribe();
  await clock.advance(4000);
  await network.write(event({ data: { usersChanged: [{ id: 'a', user: gateway.put('a') }] } }));
  assert.equal(first.state.type, 'active');
  network.status = 400;
  network.body = { errors: [refusal('FORBIDDEN')] };
  assert.equal((await session.user('b').subscribe().terminated).error.code, 'FORBIDDEN');
  assert.equal(first.state.type, 'active');
  network.status = 200;
  const other = session.user('c').subscribe();
  await settle();
  await network.write(`${event({ data: null, errors: [refusal('STORE_UNAVAILABLE', { retryAfterSeconds: 1 })] })}event: complete\ndata:\n\n`);
  await clock.advance(1200);
  await network.write(event({ data: { usersChanged: [{ id: 'c', user: null }] } }));
  assert.equal(other.state.type, 'active');
  await network.write(event({ data: null, errors: [refusal('UNAUTHENTICATED')] }));
  assert.equal(first.state.error?.code, 'UNAUTHENTICATED');
}));

for (const [status, code] of [[401, 'UNAUTHENTICATED'], [404, 'PROTOCOL_ERROR'], [503, undefined]]) {
  test(`a probe that is answered with ${status}`, withNetwork(async ({ network, clock, open }) => {
    network.status = status;
    network.body = { errors: [refusal('UNAUTHENTICATED')] };
    const subscription = open({ onError: () => {} }).user('a').subscribe();
    await clock.advance(6000);
    assert.equal(subscription.state.error?.code, code);
  }));
}

test('an attempt that nobody answers leaves no request behind', withNetwork(async ({ network, clock, gateway, open }) => {
  const under = new Set();
  let begun = 0;
  const { fetch } = globalThis;
  globalThis.fetch = (url, { signal }) =>
    new Promise((_, reject) => {
      begun++;
      under.add(signal);
      signal.addEventListener('abort', () => under.delete(signal) && reject(signal.reason));
    });
  const session = open();
  const subscription = session.user('a').subscribe();
  await clock.advance(120_000);
  assert.ok(begun > 2 && under.size <= 1, `${under.size} of ${begun}`);
  globalThis.fetch = fetch;
  for (let second = 0; second < 60 && !network.streams.length; second++) await clock.advance(1000);
  assert.equal(under.size, 0);
  await network.write(event({ data: { usersChanged: [{ id: 'a', user: gateway.put('a') }] } }));
  assert.equal(subscription.state.type, 'active');
}));
