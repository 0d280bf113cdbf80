// A gateway of Apollo Federation 2 over userline and another subgraph, whose messages refer to users.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { ApolloGateway, IntrospectAndCompose } from '@apollo/gateway';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { GraphQLError, parse } from 'graphql';
import { createHandler } from 'graphql-http/lib/use/http';
import { base, change, httpUrl, metric, report } from './exercise.mjs';

// With a prefix for userline's names, another subgraph may have types of the same ones.
const prefixed = process.argv[3] === 'prefixed';
const clashing = prefixed
  ? 'extend type Query { app: App! } type App { roles: [Role!]! } enum Role { ADMIN } scalar Custom scalar PushTokens'
  : '';
const messages = Array.from({ length: 50 }, (_, number) => ({ text: `message ${number}`, sender: `sender ${number}` }));
const schema = buildSubgraphSchema({
  typeDefs: parse(`
    extend schema @link(url: "https://specs.apollo.dev/federation/v2.4", import: ["@key"])
    type Query { messages: [Message!]! }
    type Message { text: String! sender: User }
    type User @key(fields: "id") { id: ID! sent: Int! }
    ${clashing}
  `),
  resolvers: {
    Query: { messages: () => messages, ...(prefixed && { app: () => ({ roles: ['ADMIN'] }) }) },
    Message: { sender: ({ sender }) => ({ __typename: 'User', id: sender }) },
    User: {
      __resolveReference: ({ id }) => ({ id }),
      sent: ({ id }) => messages.filter(({ sender }) => sender === id).length,
    },
  },
});
const server = createServer(createHandler({ schema }));
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));

const gateway = new ApolloGateway({
  supergraphSdl: new IntrospectAndCompose({
    subgraphs: [
      { name: 'users', url: httpUrl },
      { name: 'messages', url: `http://127.0.0.1:${server.address().port}` },
    ],
  }),
  logger: { debug() {}, info() {}, warn() {}, error: console.error },
});
const { executor } = await gateway.load();
const cache = { get: async () => undefined, set: async () => {}, delete: async () => false };

async function execute(query, variables = {}) {
  const result = await executor({
    request: { query, variables },
    document: parse(query),
    operationName: null,
    queryHash: query,
    schema: gateway.schema,
    context: {},
    cache,
    logger: console,
    metrics: {},
    overallCachePolicy: { policyIfCacheable: () => null },
  });
  if (result.errors) throw new GraphQLError(JSON.stringify(result.errors));
  return JSON.parse(JSON.stringify(result.data));
}

async function ask(representations) {
  const query = 'query ($r: [_Any!]!) { _entities(representations: $r) { __typename ... on User { id name } } }';
  const response = await fetch(httpUrl, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables: { r: representations } }),
  });
  return response.json();
}

await report('@apollo/gateway', {
  'references of another subgraph are looked up at once': async () => {
    for (const number of [0, 1, 49]) await change(`sender ${number}`, { name: `Name ${number}` });
    const reads = await metric('store_reads_total');
    const { messages: found } = await execute('{ messages { text sender { id name sent effectiveLocale } } }');
    assert.equal(found.length, 50);
    assert.deepEqual(found[1].sender, { id: 'sender 1', name: 'Name 1', sent: 1, effectiveLocale: 'en' });
    assert.equal(found[2].sender, null, 'there is no such user, whose name is never null');
    assert((await metric('store_reads_total')) <= reads + 1);
  },
  'a user has what another subgraph adds': async () => {
    const { user } = await execute('query ($id: ID!) { user(id: $id) { name sent } }', { id: 'sender 49' });
    assert.deepEqual(user, { name: 'Name 49', sent: 1 });
  },
  ...(prefixed && {
    'both have an app': async () => {
      const query = '{ app { __typename roles } userlineApp { __typename id roles { __typename name settings } } }';
      assert.deepEqual(await execute(query), {
        app: { __typename: 'App', roles: ['ADMIN'] },
        userlineApp: {
          __typename: 'UserlineApp',
          id: 'userline',
          roles: [{ __typename: 'UserlineRole', name: 'default', settings: {} }],
        },
      });
      const set = 'mutation ($input: SetUserInput!) { setUser(id: "sender 7", input: $input) { user { custom } } }';
      const { setUser } = await execute(set, { input: { name: 'Seven', custom: { a: 'b' } } });
      assert.deepEqual(setUser, { user: { custom: { a: 'b' } } });
    },
  }),
  'representations that are none are refused': async () => {
    const good = { __typename: 'User', id: 'sender 0' };
    assert.deepEqual((await ask([good, { ...good, id: 'nobody' }])).data._entities, [
      { __typename: 'User', id: 'sender 0', name: 'Name 0' },
      null,
    ]);
    for (const bad of [{}, 5, null, { __typename: 'Message', id: 'x' }, { __typename: 'User' }, { ...good, id: '' }]) {
      const { errors } = await ask([good, bad]);
      assert.equal(errors[0].extensions.code, 'BAD_USER_INPUT', JSON.stringify(errors));
    }
    assert.equal((await ask(Array(1001).fill(good))).errors[0].extensions.code, 'BAD_USER_INPUT');
    assert.equal((await fetch(`${base}/readyz`)).status, 200);
  },
});
