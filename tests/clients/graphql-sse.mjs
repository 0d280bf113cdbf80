// graphql-sse: every operation as server-sent events, a connection for each (distinct connections mode).
import assert from 'node:assert/strict';
import { createClient } from 'graphql-sse';
import { Events, exercise, httpUrl } from './exercise.mjs';

const open = new Set();

/** A fetch whose responses can be broken in the middle, as a lost connection breaks them. */
async function breakableFetch(url, options) {
  const response = await fetch(url, options);
  const reader = response.body.getReader();
  const body = new ReadableStream({
    start(controller) {
      const cut = () => {
        open.delete(cut);
        reader.cancel().catch(() => {});
        controller.error(new TypeError('the connection was torn'));
      };
      open.add(cut);
    },
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        controller.error(error);
      }
    },
    cancel: (reason) => reader.cancel(reason),
  });
  return new Response(body, { status: response.status, headers: response.headers });
}

const client = createClient({
  url: httpUrl,
  fetchFn: breakableFetch,
  retryAttempts: 20,
  retry: () => new Promise((resolve) => setTimeout(resolve, 50)),
});

async function execute(query, variables) {
  for await (const result of client.iterate({ query, variables })) return result;
  throw new Error('it ended without a result');
}

function watch(query, variables) {
  const events = new Events();
  const stop = client.subscribe(
    { query, variables },
    { next: (result) => events.push(result), error: (error) => events.push({ errors: [error] }), complete: () => {} },
  );
  return { next: () => events.next(), pending: () => events.pending(), stop };
}

function tear() {
  const cuts = [...open];
  for (const cut of cuts) cut();
  return Math.min(cuts.length, 1);
}

await exercise('graphql-sse', { execute, watch, tear }, {
  'results end': async () => {
    const results = [];
    for await (const result of client.iterate({ query: '{ app { id } }' })) results.push(result);
    assert.deepEqual(results, [{ data: { app: { id: 'userline' } } }]);
  },
  dispose: () => client.dispose(),
});
