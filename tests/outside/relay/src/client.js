// Relay: its compiler's artifacts, its store, and graphql-ws for subscriptions.
import assert from 'node:assert/strict';
import { createClient } from 'graphql-ws';
import relay from 'relay-runtime';
import WebSocket from 'ws';
import getQuery from '../generated/operationsGetQuery.graphql.js';
import manyQuery from '../generated/operationsManyQuery.graphql.js';
import setMutation from '../generated/operationsSetMutation.graphql.js';
import changedSubscription from '../generated/operationsChangedSubscription.graphql.js';

const { commitMutation, Environment, fetchQuery, Network, Observable, RecordSource, requestSubscription, Store } = relay;

// A user whose id is that of the app: a store that goes by the id alone takes them for one.
const id = 'userline';
const url = `${process.env.USERLINE_URL}/graphql`;

async function control(path, given = {}) {
  const answer = await fetch(`${process.env.USERLINE_CONTROL}${path}?${new URLSearchParams(given)}`);
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer.text();
}
const token = (seconds = 3600) => control('/token', { user: id, seconds });

let seconds = 3600;
const closed = [];
const sockets = createClient({
  url: url.replace('http', 'ws'),
  webSocketImpl: WebSocket, // Node has one of its own from 22 on
  connectionParams: async () => ({ token: await token(seconds) }),
  retryAttempts: Infinity,
  shouldRetry: () => true,
  retryWait: () => new Promise((resolve) => setTimeout(resolve, 200)),
  on: { closed: ({ code }) => closed.push(code) },
});
async function post(body) {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${await token()}` },
    body: JSON.stringify(body),
  });
  return answer.json();
}
const network = Network.create(
  ({ text: query }, variables) => post({ query, variables }),
  ({ text: query }, variables) => Observable.create((sink) => sockets.subscribe({ query, variables }, sink)),
);
const store = new Store(new RecordSource());
const environment = new Environment({
  network,
  store,
  getDataID: ({ id }, typename) => (id == null ? null : `${typename}:${id}`),
});
const read = () => fetchQuery(environment, getQuery, { id }, { fetchPolicy: 'network-only' }).toPromise();
const set = (input) =>
  new Promise((resolve, reject) =>
    commitMutation(environment, {
      mutation: setMutation,
      variables: { id, input },
      onCompleted: (data, errors) => (errors ? reject(errors[0]) : resolve(data.setUser)),
      onError: reject,
    }),
  );
const done = (what) => console.log(`done: ${what}`);

assert.equal((await read()).user, null);
done('query');

// What is undefined is not sent, and stays as it is; null goes back to the default.
await set({ name: 'Ann', photoUrl: 'https://example.com/ann.png', welcomeMessage: 'Hello', email: ['ann@example.com'] });
await set({ photoUrl: null, welcomeMessage: undefined });
const { app, user } = await read();
assert.deepEqual({ ...user }, { id, name: 'Ann', photoUrl: null, welcomeMessage: 'Hello' });
assert.deepEqual({ ...app }, { id: 'userline', defaultLocale: 'en' });
assert.match(await control('/user', { id }), /ann@example.com/);
done('mutation');

const operation = (of) => ({ query: getQuery.params.text, variables: { id: of } });
const answers = await post([operation(id), operation('nobody')]);
assert.deepEqual(
  answers.map(({ data }) => data.user?.name),
  ['Ann', undefined],
);
done('batch');

const refused = await set({ photoUrl: 'ftp://a' }).catch((error) => error);
assert.match(JSON.stringify(refused.source ?? refused), /BAD_USER_INPUT/);
done('error');

/** The names that the store has for the user, whenever they change. */
const names = [];
let told = () => {};
const snapshot = environment.lookup(
  relay.createOperationDescriptor(getQuery, { id }).fragment,
);
environment.retain(relay.createOperationDescriptor(getQuery, { id }));
environment.subscribe(snapshot, ({ data }) => {
  names.push(data.user.name);
  told();
});
async function becomes(name) {
  for (const end = Date.now() + 30_000; names.at(-1) !== name; ) {
    assert(Date.now() < end, `${name} did not come: ${names}`);
    await new Promise((resolve) => ((told = resolve), setTimeout(resolve, 1000)));
  }
}
let events = 0;
const watching = () =>
  requestSubscription(environment, {
    subscription: changedSubscription,
    variables: { ids: [id] },
    onNext: () => (events += 1),
    onError: (error) => assert.fail(error),
  });
async function hears(from) {
  for (const end = Date.now() + 30_000; events === from; await new Promise((resolve) => setTimeout(resolve, 50))) {
    assert(Date.now() < end, 'no event came');
  }
}

seconds = 4;
let before = events;
const { dispose } = watching();
await hears(before);
await control('/change', { id, name: 'Bob' });
await becomes('Bob');
assert.deepEqual({ ...(await fetchQuery(environment, getQuery, { id }, { fetchPolicy: 'store-or-network' }).toPromise()).app }, { id: 'userline', defaultLocale: 'en' });
done('subscription');

seconds = 3600;
before = events;
await hears(before); // the first event on the new connection
assert(closed.includes(4410), `${closed}`);
done('the end of a token');

before = events;
await control('/restart');
await hears(before);
await control('/change', { id, name: 'Cid' });
await becomes('Cid');
assert(closed.includes(1012), `${closed}`);
dispose();
done('restart');
process.exit(0);
