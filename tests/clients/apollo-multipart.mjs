// Apollo Client: subscriptions as multipart responses, which its HTTP link asks for by itself.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { ApolloClient, gql, HttpLink, InMemoryCache } from '@apollo/client/core';
import { becomes, change, Events, httpUrl, metric, report } from './exercise.mjs';

const types = [];
const client = new ApolloClient({
  cache: new InMemoryCache(),
  link: new HttpLink({
    uri: httpUrl,
    fetch: async (...parameters) => {
      const response = await fetch(...parameters);
      types.push(response.headers.get('content-type'));
      return response;
    },
  }),
});
const WATCH = gql('subscription ($id: ID!) { userChanged(id: $id) { name } }');

function watch(id) {
  const events = new Events();
  const subscription = client
    .subscribe({ query: WATCH, variables: { id }, fetchPolicy: 'no-cache', errorPolicy: 'all' })
    .subscribe({ next: (result) => events.push(result), error: (error) => events.push({ error }) });
  return { events, subscription };
}

await report('@apollo/client multipart', {
  'changes come as they happen': async () => {
    const id = randomUUID();
    const before = await metric('watchers');
    const { events, subscription } = watch(id);
    assert.equal((await events.next()).data.userChanged, null);
    for (const name of ['Ann', 'Bob 🙂', '--graphql\r\n']) {
      await change(id, { name });
      assert.equal((await events.next()).data.userChanged.name, name);
    }
    assert.match(types[0], /^multipart\/mixed/);
    subscription.unsubscribe();
    await becomes('watchers', before);
    await becomes('streams', 0);
  },
  'errors are told': async () => {
    const { events } = watch('');
    const { error } = await events.next();
    assert.equal(error.errors[0].extensions.code, 'BAD_USER_INPUT', String(error));
  },
  'queries are plain JSON': async () => {
    const { data } = await client.query({ query: gql('{ app { id } }') });
    assert.equal(data.app.id, 'userline');
    assert.match(types.at(-1), /json/);
  },
});
