// graphql-sse with its default retries, and tokens that expire while it listens: it comes back with a new one each time.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createClient } from 'graphql-sse';
import { Events, httpUrl } from './exercise.mjs';

const SECRET = process.argv[3];
const SECONDS = 3;
const EXPIRIES = 2;

/** A token as a login service makes it. */
function token(claims) {
  const [head, body] = [{ alg: 'HS256', typ: 'JWT' }, { iss: 'userline', ...claims }]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'));
  return `${head}.${body}.${createHmac('sha256', SECRET).update(`${head}.${body}`).digest('base64url')}`;
}

const now = () => Date.now() / 1000;
const expiries = [];

async function setName(name) {
  const query = 'mutation ($name: String!) { setUser(id: "sse", input: { name: $name }) { changed } }';
  const response = await fetch(httpUrl, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${token({ tokenType: 'app', exp: now() + 600 })}`,
    },
    body: JSON.stringify({ query, variables: { name } }),
  });
  assert.deepEqual(await response.json(), { data: { setUser: { changed: true } } });
}

const client = createClient({
  url: httpUrl,
  headers: () => {
    expiries.push(Math.floor(now()) + SECONDS);
    return { Authorization: `Bearer ${token({ tokenType: 'user', sub: 'listener', exp: expiries.at(-1) })}` };
  },
});

const events = new Events();
let ended = null;
client.subscribe(
  { query: 'subscription { userChanged(id: "sse") { name } }' },
  {
    next: (result) => events.push(result.data.userChanged?.name ?? null),
    error: (error) => { ended = error; events.push(error); },
    complete: () => { ended = 'complete'; events.push(ended); },
  },
);

async function until(expected) {
  let told;
  do told = await events.next();
  while (told !== expected && ended === null && told instanceof Error === false);
  assert.equal(told, expected);
}

await until(null);
await setName('before any expiry');
await until('before any expiry');
for (let number = 1; number <= EXPIRIES; number += 1) {
  const connections = expiries.length;
  while (expiries.length === connections) {
    assert.equal(ended, null);
    assert(now() < expiries.at(-1) + 30, 'it has not come back');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  // What was written while nobody listened is there as well.
  await setName(`after expiry ${number}`);
  await until(`after expiry ${number}`);
}
assert.equal(ended, null);
client.dispose();
console.log(JSON.stringify({ client: 'graphql-sse', connections: expiries.length, expiries: EXPIRIES }));
