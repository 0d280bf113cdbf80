// urql: queries and mutations over HTTP (queries by GET, too), subscriptions over graphql-ws.
import assert from 'node:assert/strict';
import { Client, fetchExchange, subscriptionExchange } from '@urql/core';
import { createClient } from 'graphql-ws';
import { breakable, Events, exercise, httpUrl, webSocketUrl } from './exercise.mjs';

const { Breakable, tear } = breakable();
const sockets = createClient({
  url: webSocketUrl,
  webSocketImpl: Breakable,
  retryAttempts: 20,
  retryWait: () => new Promise((resolve) => setTimeout(resolve, 50)),
});
const methods = [];
const client = new Client({
  url: httpUrl,
  preferGetMethod: false,
  fetch: (url, options) => {
    methods.push(options.method);
    return fetch(url, options);
  },
  exchanges: [
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: ({ query, variables }) => ({
        subscribe: (sink) => ({ unsubscribe: sockets.subscribe({ query, variables }, sink) }),
      }),
    }),
  ],
});

function told({ data, error }) {
  if (error?.networkError) throw error.networkError;
  return { data, errors: error?.graphQLErrors };
}

const isMutation = (text) => text.startsWith('mutation');

async function execute(text, variables, context) {
  const run = isMutation(text) ? client.mutation : client.query;
  return told(await run.call(client, text, variables, context).toPromise());
}

function watch(text, variables) {
  const events = new Events();
  const { unsubscribe } = client.subscription(text, variables).subscribe((result) => events.push(told(result)));
  return { next: () => events.next(), pending: () => events.pending(), stop: unsubscribe };
}

await exercise(
  '@urql/core',
  { execute, watch, tear },
  {
    'queries by GET': async () => {
      methods.length = 0;
      const query = 'query ($id: ID!) { user(id: $id) { name } app { id roles { name settings } } }';
      const result = await execute(query, { id: 'nobody & all = 100% 🙂' }, { preferGetMethod: 'force' });
      assert.deepEqual(methods, ['GET']);
      assert.equal(result.data.user, null);
      assert.equal(result.data.app.roles[0].name, 'default');
      const failed = await execute('{ nothing }', {}, { preferGetMethod: 'force' });
      assert.equal(failed.errors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED');
    },
    dispose: () => sockets.dispose(),
  },
);
