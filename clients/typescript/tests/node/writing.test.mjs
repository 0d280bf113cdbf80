import assert from 'node:assert/strict';
import test from 'node:test';

import * as client from '../../dist/index.js';
import { refusal, scripted, settle, watchingA } from './setup.mjs';

/** Holds back the answers to mutations, until they are let out. */
function holdBack(gateway) {
  const held = [];
  gateway.hook = (socket, { id, type, payload }) => {
    if (type !== 'subscribe' || !payload.query.startsWith('mutation')) return false;
    held.push(() => socket.run(id, payload));
    return true;
  };
  return () => held.splice(0).forEach((answer) => answer());
}

test('12: a lower version is not taken, on the next connection neither', scripted(async ({ clock, gateway, open }) => {
  const old = gateway.put('a', { name: 'old' });
  gateway.set('a', { name: 'new' });
  const { names } = await watchingA(open);
  gateway.cut();
  gateway.users.set('a', old); // another gateway, which is behind
  await clock.advance(600);
  assert.deepEqual(names(), ['new']);
  gateway.set('a', { name: 'newest' });
  assert.deepEqual(names(), ['new', 'newest']);
}));

test('13: null ends what was; a late snapshot stays out, a re-creation does not', scripted(async ({ gateway, open }) => {
  const old = gateway.put('a', { name: 'old' });
  const { names } = await watchingA(open);
  gateway.delete('a');
  gateway.socket.next('1', { usersChanged: [{ id: 'a', user: old }] });
  assert.deepEqual(names(), ['old', null]);
  gateway.put('a', { name: 'back' });
  gateway.changed(['a']);
  assert.deepEqual(names(), ['old', null, 'back']);
}));

test('13: an equal version is taken after a null that an operation began with', scripted(async ({ clock, gateway, open }) => {
  const user = gateway.put('a', { name: 'there' });
  const { names } = await watchingA(open);
  gateway.cut();
  gateway.users.delete('a');
  await clock.advance(600);
  gateway.users.set('a', user);
  gateway.changed(['a']);
  assert.deepEqual(names(), ['there', null, 'there']);
}));

test('14: an own write is shown at once, and its event shows nothing', scripted(async ({ gateway, open }) => {
  gateway.put('a', { name: 'one' });
  const { session, names } = await watchingA(open);
  const { user, created, changed } = await session.user('a').set({ name: 'two' });
  assert.deepEqual([user.name, created, changed], ['two', false, true]);
  assert.equal(session.user('a').peek(), await session.user('a').get());
  assert.deepEqual(names(), ['one', 'two']);
  assert.equal(gateway.watched.length, 1);
}));

test('14: a watch that begins after a write does not show what was before', scripted(async ({ gateway, open }) => {
  const before = gateway.put('a', { name: 'before' });
  const session = open();
  await session.user('a').set({ name: 'after' });
  gateway.users.set('a', before); // a gateway that has not heard of it
  assert.equal((await session.user('a').get()).name, 'after');
}));

test('15: a null that may be older than a write is not shown; the gateway is asked again', scripted(async ({ gateway, open }) => {
  gateway.put('a', { name: 'one' });
  const { session, names } = await watchingA(open);
  const [watching] = [...gateway.socket.operations.keys()];
  gateway.changed = () => {}; // its events are late
  await session.user('a').set({ name: 'two' });
  gateway.socket.next(watching, { usersChanged: [{ id: 'a', user: null }] });
  const got = session.user('a').get();
  assert.equal((await got).name, 'two');
  assert.deepEqual(names(), ['one', 'two']);
  assert.equal(gateway.watched.length, 2);
}));

test('15: the gateway is asked once: if it says null again, that is so', scripted(async ({ gateway, open }) => {
  gateway.put('a', { name: 'one' });
  const { session, names } = await watchingA(open);
  gateway.changed = () => {};
  await session.user('a').set({ name: 'two' });
  gateway.users.delete('a');
  gateway.socket.next('1', { usersChanged: [{ id: 'a', user: null }] });
  await settle();
  assert.deepEqual(names(), ['one', 'two', null]);
  assert.equal(gateway.watched.length, 2);
}));

test('15, 16: a null while an own deletion is under way is shown', scripted(async ({ gateway, open }) => {
  gateway.put('a', { name: 'one' });
  const { session, names } = await watchingA(open);
  const { changed } = gateway;
  gateway.changed = () => {};
  await session.user('a').set({ name: 'two' });
  gateway.changed = changed;
  const letOut = holdBack(gateway);
  const deleting = session.user('a').delete();
  await settle();
  gateway.delete('a');
  assert.deepEqual(names(), ['one', 'two', null]);
  letOut();
  await deleting;
  await settle();
  assert.deepEqual(names(), ['one', 'two', null]);
  assert.equal(gateway.watched.length, 1);
}));

test('15: a null while a write is under way is shown, then its answer, and the gateway is asked again', scripted(async ({ gateway, open }) => {
  gateway.put('a', { name: 'one' });
  const { session, names } = await watchingA(open);
  const letOut = holdBack(gateway);
  const writing = session.user('a').set({ name: 'two' });
  await settle();
  gateway.delete('a');
  assert.deepEqual(names(), ['one', null]);
  const { changed } = gateway;
  gateway.changed = () => {};
  const held = [];
  gateway.hook = (socket, { id, type, payload }) => type === 'subscribe' && held.push(() => socket.run(id, payload)) > 0;
  letOut();
  await writing;
  gateway.changed = changed;
  let isThere = false;
  const getting = session.user('a').get().finally(() => (isThere = true));
  await settle();
  assert.deepEqual(names(), ['one', null, 'two']);
  assert.equal(gateway.watched.length, 2);
  assert.equal(isThere, false, 'the first event of the new operation decides');
  held.forEach((answer) => answer());
  assert.equal((await getting).name, 'two');
}));

test('16: delete', scripted(async ({ gateway, open }) => {
  gateway.put('a', { name: 'one' });
  const { session, names } = await watchingA(open);
  gateway.changed = () => {}; // its events are late
  assert.equal(await session.user('a').delete(), true);
  assert.deepEqual(names(), ['one', null]);
  assert.equal(await session.user('a').delete(), false);
  assert.equal(await session.user('nobody').delete(), false);
  assert.deepEqual(names(), ['one', null]);
}));

test('16: what has come while a deletion was under way is decided by events', scripted(async ({ gateway, open }) => {
  gateway.put('a', { name: 'one' });
  const { session, names } = await watchingA(open);
  const letOut = holdBack(gateway);
  const deleting = session.user('a').delete();
  await settle();
  gateway.set('a', { name: 'two' });
  gateway.users.delete('a');
  gateway.put('a', { name: 'created anew' });
  gateway.delete = () => true;
  letOut();
  await deleting;
  await settle();
  assert.deepEqual(names(), ['one', 'two', 'created anew']);
}));

test('17: left out, null and a value are three things', scripted(async ({ gateway, open }) => {
  const session = open();
  await session.user('a').set({ name: 'A', locale: null, role: undefined, custom: { x: '1', y: null, z: undefined } });
  assert.deepEqual(gateway.subscribed[0].payload.variables.input, { name: 'A', locale: null, custom: { x: '1', y: null } });
  const { created } = await session.user('b').createIfNotExists({ name: 'B' });
  assert.equal(created, true);
  assert.equal((await session.user('b').createIfNotExists({ name: 'C' })).user.name, 'B');
}));

test('18: refusals are errors of their own kinds, and writes that are refused are not repeated', scripted(async ({ gateway, open }) => {
  const classes = {
    BAD_USER_INPUT: client.BadUserInput,
    NAME_REQUIRED: client.NameRequired,
    UNAUTHENTICATED: client.Unauthenticated,
    FORBIDDEN: client.Forbidden,
    USER_SYNC_DISABLED: client.UserSyncDisabled,
    STORE_UNAVAILABLE: client.StoreUnavailable,
    RATE_LIMITED: client.RateLimited,
    OPERATION_TOO_COMPLEX: client.OperationTooComplex,
    DOCUMENT_NOT_TRUSTED: client.DocumentNotTrusted,
    PERSISTED_QUERY_NOT_FOUND: client.PersistedQueryNotFound,
    PERSISTED_QUERY_NOT_SUPPORTED: client.PersistedQueryNotSupported,
    GRAPHQL_PARSE_FAILED: client.GraphQLParseFailed,
    GRAPHQL_VALIDATION_FAILED: client.GraphQLValidationFailed,
    INTERNAL_SERVER_ERROR: client.InternalServerError,
    SOMETHING_NEW: client.ServerError,
    constructor: client.ServerError,
  };
  const session = open();
  const problems = [{ field: 'name', message: 'too long' }, { field: 'locale', message: 'none' }];
  let code;
  gateway.hook = (socket, { id, type }) => {
    if (type !== 'subscribe') return false;
    socket.next(id, null, [refusal(code, { field: 'name', problems, retryAfterSeconds: 2, requestId: 'r' })]);
    socket.tell({ id, type: 'complete' });
    return true;
  };
  for (const [each, Kind] of Object.entries(classes)) {
    code = each;
    const error = await session.user('a').set({ name: 'x' }).then(assert.fail, (thrown) => thrown);
    assert.ok(error instanceof client.ServerError && error instanceof client.UserlineError);
    const kinds = Object.entries(classes).filter(([, Other]) => error instanceof Other).map(([other]) => other);
    const expected = ['SOMETHING_NEW', 'constructor', ...(Kind === client.ServerError ? [] : [each]), ...(each === 'NAME_REQUIRED' ? ['BAD_USER_INPUT'] : [])];
    assert.deepEqual(kinds.sort(), expected.sort());
    assert.ok(error instanceof Kind);
    assert.deepEqual([error.code, error.retryAfterSeconds, error.requestId], [each, 2, 'r']);
    if (error instanceof client.BadUserInput) assert.deepEqual([error.field, error.problems], ['name', problems]);
  }
  assert.equal(gateway.subscribed.length, Object.keys(classes).length);
}));

test('18: what cannot be sent is refused at once', scripted(async ({ gateway, open }) => {
  const session = open();
  const circle = {};
  circle.self = circle;
  for (const input of [
    { name: '\ud800' }, { custom: { '\udc00': 'x' } }, { locale: NaN }, { locale: Infinity }, { custom: circle },
    { name: 1n }, { name: () => {} }, { name: Symbol('x') },
  ]) {
    await assert.rejects(session.user('a').set(input), { code: 'INVALID_INPUT' });
  }
  assert.equal(gateway.subscribed.length, 0);
  await assert.rejects(session.user('a').set({ name: 'x'.repeat(2_000_000) }), { code: 'INVALID_INPUT' });
  await session.user('a').set({ name: 'x'.repeat(500_000) });
}));
