// Hive Gateway as the router of a graph of two subgraphs: userline, and another whose messages refer to its users.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createGatewayRuntime } from '@graphql-hive/gateway-runtime';
import http from '@graphql-mesh/transport-http';
import ws from '@graphql-mesh/transport-ws';
import { composeServices } from '@theguild/federation-composition';
import { parse } from 'graphql';
import { createClient } from 'graphql-sse';
import { createSchema, createYoga } from 'graphql-yoga';

const id = `hive 🙂 ${Date.now()}`;

async function control(path, given = {}) {
  const answer = await fetch(`${process.env.USERLINE_CONTROL}${path}?${new URLSearchParams(given)}`);
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer.text();
}
const token = (seconds = 3600) => control('/token', { user: id, seconds });
const done = (what) => console.log(`done: ${what}`);

async function listen(handler) {
  const server = createServer(handler);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${server.address().port}`;
}

// The other subgraph, with an App of its own.
const typeDefs = `
  type Query { messages: [Message!]! app: App! }
  type App { title: String! }
  type Message { text: String! sender: User }
`;
const messages = Array.from({ length: 20 }, (_, number) => ({ text: `${number}`, sender: { id: number % 2 ? 'x' : id } }));
const other = await listen(
  createYoga({
    logging: false,
    schema: createSchema({
      typeDefs: `${typeDefs} type User { id: ID! }`,
      resolvers: { Query: { messages: () => messages, app: () => ({ title: 'Messages' }) } },
    }),
  }),
);

// What userline says of itself, as a router's composition asks for it.
const users = `${process.env.USERLINE_URL}/graphql`;
const asked = await fetch(users, {
  method: 'POST',
  headers: { 'content-type': 'application/json', authorization: `Bearer ${await token()}` },
  body: JSON.stringify({ query: '{ _service { sdl } }' }),
});
const { sdl } = (await asked.json()).data._service;
const composed = composeServices([
  { name: 'users', typeDefs: parse(sdl), url: users },
  {
    name: 'messages',
    url: `${other}/graphql`,
    typeDefs: parse(`
      extend schema @link(url: "https://specs.apollo.dev/federation/v2.4", import: ["@key"])
      ${typeDefs} type User @key(fields: "id", resolvable: false) { id: ID! }
    `),
  },
]);
assert.deepEqual(composed.errors ?? [], []);

const runtime = createGatewayRuntime({
  supergraph: composed.supergraphSdl,
  logging: false,
  transports: { http, ws },
  propagateHeaders: {
    fromClientToSubgraphs: ({ request }) => ({ authorization: request.headers.get('authorization') }),
  },
  transportEntries: {
    users: {
      options: {
        subscriptions: {
          kind: 'ws',
          options: { connectionParams: { Authorization: '{context.headers.authorization}' } },
        },
      },
    },
  },
});
const router = `${await listen(runtime)}/graphql`;

async function ask(query, variables = {}) {
  const answer = await fetch(router, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${await token()}` },
    body: JSON.stringify({ query, variables }),
  });
  return answer.json();
}

assert.deepEqual(await ask('query ($id: ID!) { user(id: $id) { id } app { title } userlineApp { id } }', { id }), {
  data: { user: null, app: { title: 'Messages' }, userlineApp: { id: 'userline' } },
});
done('query');

const SET = 'mutation ($id: ID!, $input: SetUserInput!) { setUser(id: $id, input: $input) { user { name photoUrl custom } } }';
const input = { name: 'Ann', photoUrl: 'https://example.com/ann.png', custom: { a: 'b' }, email: ['ann@example.com'] };
assert.deepEqual((await ask(SET, { id, input })).errors, undefined);
assert.deepEqual((await ask(SET, { id, input: { photoUrl: null } })).data, {
  setUser: { user: { name: 'Ann', photoUrl: null, custom: { a: 'b' } } },
});
assert.match(await control('/user', { id }), /ann@example.com/);
done('mutation');

const { data } = await ask('{ messages { text sender { id name } } }');
assert.deepEqual(data.messages.slice(0, 2), [
  { text: '0', sender: { id, name: 'Ann' } },
  { text: '1', sender: null },
]);
done('batch');

const { errors } = await ask(SET, { id, input: { photoUrl: 'ftp://a' } });
assert.deepEqual([errors[0].extensions.code, errors[0].extensions.field], ['BAD_USER_INPUT', 'photoUrl']);
done('error');

/** A subscription through the router, whose events wait until they are asked for. */
async function watch(seconds) {
  const authorization = `Bearer ${await token(seconds)}`;
  const client = createClient({ url: router, headers: { authorization }, retryAttempts: 0 });
  const query = 'subscription ($id: ID!) { userChanged(id: $id) { name } }';
  const events = client.iterate({ query, variables: { id } });
  return {
    next: async (seconds = 30) => {
      const late = new Promise((_, reject) => setTimeout(reject, seconds * 1000, new Error('nothing came')));
      return (await Promise.race([events.next(), late])).value?.data?.userChanged?.name;
    },
  };
}

const watching = await watch(3600);
assert.equal(await watching.next(), 'Ann');
await control('/change', { id, name: 'Bob' });
assert.equal(await watching.next(), 'Bob');
done('subscription');

// The router tries again with the token that has expired, for half a minute, and then ends the stream.
const ending = await watch(3);
assert.equal(await ending.next(), 'Bob');
const ended = await ending.next(120).catch((error) => error);
assert(ended === undefined || (ended instanceof Error && ended.message !== 'nothing came'), `${ended}`);
assert.equal(await (await watch(3600)).next(), 'Bob');
done('the end of a token');

// When a subgraph is restarted, the router subscribes again, and the user comes as it is now; or it ends its stream, if it
// was too early for that, and whoever watches comes back.
await control('/restart');
let name = await watching.next().catch(() => undefined);
const after = name === undefined ? await watch(3600) : watching;
name ??= await after.next();
assert.equal(name, 'Bob');
await control('/change', { id, name: 'Cid' });
assert.equal(await after.next(), 'Cid');
done('restart');
process.exit(0);
