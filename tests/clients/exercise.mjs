// What every client has to be able to do, written against an adapter for each of them (see the other scripts):
//   execute(query, variables)  a promise of {data, errors}
//   watch(query, variables)    {next(): a promise of {data, errors}, pending(): how many were not taken, stop()}
//   tear()                     breaks the TCP connections of the client's sockets
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { WebSocket } from 'ws';

const PATIENCE = 60_000;
const USER = 'id name custom locale effectiveLocale photoUrl role welcomeMessage';
const QUERY = `query ($id: ID!, $ids: [ID!]!) { user(id: $id) { ${USER} } users(ids: $ids) { id name } }`;
const CREATE = `mutation ($id: ID!, $input: CreateUserInput!) {
  createUserIfNotExists(id: $id, input: $input) { created user { ${USER} } }
}`;
const SET = `mutation ($id: ID!, $input: SetUserInput!) {
  setUser(id: $id, input: $input) { created changed user { id name custom } }
}`;
const WATCH = 'subscription ($id: ID!) { userChanged(id: $id) { id name custom } }';
// Another document, because some clients make one subscription of two that are the same.
const WATCH_NAME = 'subscription ($id: ID!) { userChanged(id: $id) { name } }';

export const base = process.argv[2];
export const httpUrl = `${base}/graphql`;
export const webSocketUrl = httpUrl.replace('http://', 'ws://');

/** A WebSocket implementation for a client, and what breaks the connections of all its open sockets. */
export function breakable() {
  const open = new Set();
  class Breakable extends WebSocket {
    constructor(...parameters) {
      super(...parameters);
      open.add(this);
      this.on('close', () => open.delete(this));
    }
  }
  return { Breakable, tear: () => [...open].map((socket) => socket.terminate()).length };
}

/** The events of a subscription, in the order they came. */
export class Events {
  #events = [];
  #waiting = [];

  push(event) {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(event);
    else this.#events.push(event);
  }

  pending() {
    return this.#events.length;
  }

  next() {
    if (this.#events.length) return Promise.resolve(this.#events.shift());
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

function inTime(what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took more than ${PATIENCE / 1000} s`)), PATIENCE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export async function metric(name) {
  const text = await (await fetch(`${base}/metrics`)).text();
  return Number(text.match(new RegExp(`^userline_${name} (\\S+)$`, 'm'))[1]);
}

export async function becomes(name, expected) {
  const end = Date.now() + PATIENCE;
  while ((await metric(name)) !== expected) {
    assert(Date.now() < end, `userline_${name} is ${await metric(name)} and never became ${expected}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A change by somebody else, who uses none of these clients. */
export async function change(id, input) {
  const response = await fetch(httpUrl, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: SET, variables: { id, input } }),
  });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined, JSON.stringify(errors));
  return data.setUser;
}

function data(result) {
  assert(!result.errors?.length, JSON.stringify(result));
  return result.data;
}

// Clients that add __typename to every selection get it back.
function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).filter(([key]) => key !== '__typename');
  return Object.fromEntries(entries.map(([key, item]) => [key, plain(item)]));
}

async function writesAndReads({ execute }, id) {
  const input = { name: 'Ann 🙂', custom: { color: 'red', 'a.b': '1', $c: '' }, photoUrl: 'https://example.com/a.png' };
  const created = data(await execute(CREATE, { id, input })).createUserIfNotExists;
  assert.equal(created.created, true);
  assert.deepEqual(plain(created.user), {
    id,
    ...input,
    locale: null,
    effectiveLocale: 'en',
    role: 'default',
    welcomeMessage: null,
  });
  const again = data(await execute(CREATE, { id, input: { name: 'Somebody else' } })).createUserIfNotExists;
  assert.deepEqual([again.created, again.user.name], [false, input.name]);

  const patch = { custom: { color: null, size: 'L' }, photoUrl: null };
  const set = data(await execute(SET, { id, input: patch })).setUser;
  assert.deepEqual([set.created, set.changed], [false, true]);
  assert.deepEqual(plain(set.user.custom), { 'a.b': '1', $c: '', size: 'L' });
  assert.equal(data(await execute(SET, { id, input: patch })).setUser.changed, false);

  const read = data(await execute(QUERY, { id, ids: [id, `${id} nobody`, id] }));
  assert.deepEqual([read.user.name, read.user.photoUrl], [input.name, null]);
  assert.deepEqual(plain(read.users), [{ id, name: input.name }, null, { id, name: input.name }]);
}

async function errors({ execute }, id) {
  const failing = [
    [SET, { id: `${id} new`, input: { locale: 'en' } }, 'NAME_REQUIRED', 'name'],
    [SET, { id, input: { name: null } }, 'BAD_USER_INPUT', 'name'],
    [SET, { id, input: { photoUrl: 'ftp://example.com' } }, 'BAD_USER_INPUT', 'photoUrl'],
    [QUERY, { id }, 'BAD_USER_INPUT', 'ids'],
    ['{ nothing }', {}, 'GRAPHQL_VALIDATION_FAILED', undefined],
  ];
  for (const [query, variables, code, field] of failing) {
    const result = await execute(query, variables);
    assert.equal(result.errors?.length, 1, JSON.stringify(result));
    assert.deepEqual([result.errors[0].extensions.code, result.errors[0].extensions.field], [code, field]);
    assert(result.errors[0].message);
  }
}

async function subscriptions({ execute, watch, tear }, id) {
  const [before, sockets] = [await metric('watchers'), await metric('sockets')];
  const newcomer = `${id}/newcomer.$🙂`;
  const known = watch(WATCH, { id });
  const first = data(await known.next()).userChanged;
  assert.deepEqual(plain(first), { id, name: 'Ann 🙂', custom: { 'a.b': '1', $c: '', size: 'L' } });
  const absent = watch(WATCH, { id: newcomer });
  assert.equal(data(await absent.next()).userChanged, null);
  const leaving = watch(WATCH_NAME, { id });
  assert.equal(data(await leaving.next()).userChanged.name, 'Ann 🙂');
  await becomes('watchers', before + 3);
  assert((await metric('sockets')) <= sockets + 1, 'all subscriptions of a client share a socket');

  await change(newcomer, { name: 'Newcomer' });
  assert.equal(data(await absent.next()).userChanged.name, 'Newcomer');
  data(await execute(SET, { id, input: { name: 'Bob' } }));
  for (const subscription of [known, leaving]) {
    assert.equal(data(await subscription.next()).userChanged.name, 'Bob');
  }

  leaving.stop();
  await becomes('watchers', before + 2);
  await change(id, { email: 'ann@example.com' });
  await change(id, { name: 'Cid', custom: { size: null } });
  const changed = data(await known.next()).userChanged;
  assert.deepEqual(plain(changed), { id, name: 'Cid', custom: { 'a.b': '1', $c: '' } });
  assert.deepEqual([known.pending(), leaving.pending()], [0, 0]);

  assert.equal(tear(), 1);
  await change(id, { name: 'Changed while the network was away' });
  let name;
  do name = data(await known.next()).userChanged.name;
  while (name === 'Cid');
  assert.equal(name, 'Changed while the network was away');
  assert.equal(data(await absent.next()).userChanged.name, 'Newcomer');
  await becomes('watchers', before + 2);
  await change(id, { name: 'Dan' });
  while (name !== 'Dan') name = data(await known.next()).userChanged.name;

  known.stop();
  absent.stop();
  await becomes('watchers', before);
  await change(id, { name: 'Eve' });
  assert.deepEqual([known.pending(), absent.pending(), leaving.pending()], [0, 0, 0]);
}

/** Prints `{client, checks}` and exits with 0, or says what is wrong and exits with 1. */
export async function report(client, checks) {
  const done = [];
  for (const [name, check] of Object.entries(checks)) {
    try {
      await inTime(name, Promise.resolve(check()));
    } catch (error) {
      console.error(`${client}, ${name}:`, error);
      process.exit(1);
    }
    done.push(name);
  }
  console.log(JSON.stringify({ client, checks: done }));
  process.exit(0);
}

/** The checks of a client, followed by more of its own. */
export function exercise(client, adapter, more = {}) {
  const id = `${client} ${randomUUID()}`;
  return report(client, {
    'writes and reads': () => writesAndReads(adapter, id),
    errors: () => errors(adapter, id),
    subscriptions: () => subscriptions(adapter, id),
    ...more,
  });
}
