// graphql-ws, the client of the graphql-transport-ws subprotocol: every operation over one socket.
import assert from 'node:assert/strict';
import { createClient } from 'graphql-ws';
import { breakable, Events, exercise, webSocketUrl } from './exercise.mjs';

const { Breakable, tear } = breakable();
let pongs = 0;
const client = createClient({
  url: webSocketUrl,
  webSocketImpl: Breakable,
  retryAttempts: 20,
  retryWait: () => new Promise((resolve) => setTimeout(resolve, 50)),
  lazyCloseTimeout: 60_000,
  keepAlive: 200,
  on: { pong: () => (pongs += 1) },
});

function watch(query, variables) {
  const events = new Events();
  const sink = {
    next: (result) => events.push(result),
    error: (error) => events.push({ errors: Array.isArray(error) ? error : [error] }),
    complete: () => {},
  };
  const stop = client.subscribe({ query, variables }, sink);
  return { next: () => events.next(), pending: () => events.pending(), stop };
}

async function execute(query, variables) {
  try {
    for await (const result of client.iterate({ query, variables })) return result;
  } catch (error) {
    if (!Array.isArray(error)) throw error;
    return { errors: error };
  }
}

await exercise(
  'graphql-ws',
  { execute, watch, tear },
  {
    'pings are answered': async () => {
      const heard = pongs;
      const end = Date.now() + 30_000;
      while (pongs === heard) {
        assert(Date.now() < end, 'no pong came');
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    'a hundred queries at once': async () => {
      const query = 'query ($id: ID!) { user(id: $id) { name } app { id } }';
      const all = await Promise.all(Array.from({ length: 100 }, (_, n) => execute(query, { id: `nobody ${n}` })));
      assert.deepEqual(new Set(all.map((result) => JSON.stringify(result))).size, 1);
      assert.deepEqual(all[0], { data: { user: null, app: { id: 'userline' } } });
    },
    dispose: () => client.dispose(),
  },
);
