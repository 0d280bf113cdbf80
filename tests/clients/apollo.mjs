// Apollo Client: queries and mutations over HTTP, one by one and in batches, subscriptions over graphql-ws.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client/core';
import { CombinedGraphQLErrors } from '@apollo/client/errors';
import { BatchHttpLink } from '@apollo/client/link/batch-http';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { createClient } from 'graphql-ws';
import { OperationTypeNode } from 'graphql';
import { breakable, Events, exercise, httpUrl, webSocketUrl } from './exercise.mjs';

const { Breakable, tear } = breakable();
const sockets = createClient({
  url: webSocketUrl,
  webSocketImpl: Breakable,
  retryAttempts: 20,
  retryWait: () => new Promise((resolve) => setTimeout(resolve, 50)),
});
let requests = 0;
const countingFetch = (...parameters) => {
  requests += 1;
  return fetch(...parameters);
};
const isSubscription = ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION;
const apollo = (httpLink) =>
  new ApolloClient({
    cache: new InMemoryCache(),
    link: ApolloLink.split(isSubscription, new GraphQLWsLink(sockets), httpLink),
    defaultOptions: { query: { errorPolicy: 'all' }, mutate: { errorPolicy: 'all' } },
  });
const client = apollo(new HttpLink({ uri: httpUrl, fetch: countingFetch }));
const batching = apollo(new BatchHttpLink({ uri: httpUrl, batchMax: 40, batchInterval: 20, fetch: countingFetch }));

const sent = [];
const listeningFetch = (uri, init) => {
  sent.push(init.body ? JSON.parse(init.body) : Object.fromEntries(new URL(uri).searchParams));
  return fetch(uri, init);
};
const sha256 = (text) => createHash('sha256').update(text).digest('hex');
const persisting = (options) =>
  apollo(new PersistedQueryLink({ sha256, ...options }).concat(new HttpLink({ uri: httpUrl, fetch: listeningFetch })));

function told({ data, error }) {
  if (error && !CombinedGraphQLErrors.is(error)) throw error;
  return { data, errors: error?.errors };
}

const by = (which) => async (text, variables) => {
  const document = gql(text);
  const isMutation = document.definitions[0].operation === 'mutation';
  return told(
    isMutation
      ? await which.mutate({ mutation: document, variables, fetchPolicy: 'no-cache' })
      : await which.query({ query: document, variables, fetchPolicy: 'no-cache' }),
  );
};

function watch(text, variables) {
  const events = new Events();
  const subscription = client
    .subscribe({ query: gql(text), variables, fetchPolicy: 'no-cache', errorPolicy: 'all' })
    .subscribe((result) => events.push(told(result)));
  return { next: () => events.next(), pending: () => events.pending(), stop: () => subscription.unsubscribe() };
}

await exercise(
  '@apollo/client',
  { execute: by(client), watch, tear },
  {
    'the operations of a turn are one HTTP batch': async () => {
      const execute = by(batching);
      const before = requests;
      const set = 'mutation ($id: ID!, $input: SetUserInput!) { setUser(id: $id, input: $input) { changed } }';
      const results = await Promise.all([
        ...Array.from({ length: 30 }, (_, n) =>
          execute(`query ($id: ID!) { user(id: $id) { name } n${n}: __typename }`, { id: `nobody ${n}` }),
        ),
        execute('{ nothing }', {}),
        execute(set, { id: '', input: { name: 'x' } }),
      ]);
      assert.equal(requests, before + 1);
      assert.deepEqual(
        results.slice(0, 30).map(({ data }) => data.user),
        Array(30).fill(null),
      );
      assert.deepEqual(
        results.slice(30).map(({ errors }) => errors[0].extensions.code),
        ['GRAPHQL_VALIDATION_FAILED', 'BAD_USER_INPUT'],
      );
    },
    'documents go by their hash once they are known': async () => {
      const text = `query ($id: ID!) { user(id: $id) { name } p${Date.now()}: __typename }`;
      for (const useGETForHashedQueries of [false, true]) {
        const execute = by(persisting({ useGETForHashedQueries }));
        for (const id of ['nobody 1', 'nobody 2']) {
          const { data, errors } = await execute(text, { id });
          assert.equal(errors, undefined);
          assert.equal(data.user, null);
        }
      }
      // Known to nobody, it is sent with its hash once; then the hash is enough, for other clients and over GET too.
      assert.deepEqual(
        sent.map(({ query }) => query !== undefined),
        [false, true, false, false, false],
      );
    },
    dispose: () => sockets.dispose(),
  },
);
