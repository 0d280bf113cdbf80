import assert from 'node:assert/strict';
import { refusal } from '../../../typescript/tests/node/setup.mjs';
import {
  React,
  UserlineProvider,
  after,
  counted,
  h,
  settle,
  shownOf,
  test,
  useSession,
  useSessionStatus,
  useSetUser,
  useUser,
  useUserOnline,
  useUsers,
} from './browser.mjs';

const idsOf = (count) => Array.from({ length: count }, (_, number) => `u${number}`);
const messages = (gateway, type) => gateway.sockets.flatMap(({ received }) => received).filter((message) => message.type === type);

test('a user is shown, and each change of it', async ({ gateway, show }) => {
  gateway.put('a', { name: 'Ann' });
  const { Name } = counted();
  const seen = [];
  const { container, text } = await show(h(Name, { id: 'a' }));
  seen.push(text());
  await after(() => gateway.set('a', { name: 'Anna' }));
  seen.push(text());
  await after(() => gateway.delete('a'));
  seen.push(text());
  await after(() => gateway.set('a', { name: 'Ann again' }));
  seen.push(text());
  assert.deepEqual(seen, ['Ann ', 'Anna ', 'nobody ', 'Ann again ']);
  assert.equal(container.querySelectorAll('i').length, 1);
});

test('what is pending is the first that is rendered', async ({ gateway, show }) => {
  gateway.put('a');
  const results = [];
  function User() {
    results.push(useUser('a'));
    return null;
  }
  await show(h(User));
  assert.deepEqual(results[0], { status: 'pending' });
  assert.deepEqual(results.map(({ status }) => status), ['pending', 'active']);
});

for (const strict of [false, true]) {
  test(`a mount is one subscription and no complete${strict ? ', in StrictMode too' : ''}`, async ({ gateway, show }) => {
    gateway.put('a');
    gateway.online.add('a');
    function User() {
      const [{ user }] = useUsers(['a']);
      return `${shownOf(useUser('a'))}${user?.id} ${useUserOnline('a').isConnected}`;
    }
    const { text } = await show(h(User), { strict });
    assert.equal(text(), 'a a true');
    assert.deepEqual(gateway.watched, [['a']]);
    assert.equal(messages(gateway, 'subscribe').length, 2); // and whether it is online
    assert.equal(messages(gateway, 'complete').length, 0);
    assert.equal(gateway.sockets.length, 1);
  });
}

for (const strict of [false, true]) {
  test(`1,000 useUser in one render are one operation${strict ? ', in StrictMode too' : ''}`, async ({ gateway, show }) => {
    const { Name } = counted();
    const ids = idsOf(1000);
    for (const id of ids) gateway.put(id);
    const { text } = await show(ids.map((id) => h(Name, { id, key: id })), { strict });
    assert.deepEqual(gateway.watched, [ids]);
    assert.equal(messages(gateway, 'complete').length, 0);
    assert.equal(text(), ids.map((id) => `${id} `).join(''));
  });
}

test('a change renders its own components only, once', async ({ gateway, show }) => {
  const { Name, renders } = counted();
  const ids = idsOf(100);
  for (const id of ids) gateway.put(id);
  await show([...ids.map((id) => h(Name, { id, key: id })), h(Name, { id: 'u7', key: 'again' })]);
  const before = { ...renders };
  await after(() => gateway.set('u7', { name: 'Seven' }));
  await after(() => gateway.set('u9', { name: 'Nine' }));
  await after(() => gateway.set('u9', { name: 'Nine' })); // nothing but its version
  const more = Object.fromEntries(ids.map((id) => [id, renders[id] - before[id]]).filter(([, count]) => count));
  assert.deepEqual(more, { u7: 2, u9: 1 });
});

test('what many components show of a user is one subscription, as long as there is one of them', async ({ gateway, show, clock }) => {
  const { Name } = counted();
  gateway.put('a');
  const some = (count) => Array.from({ length: count }, (_, key) => h(Name, { id: 'a', key }));
  const { again, text } = await show(some(3));
  await again(some(1));
  await after(() => clock.advance(120_000));
  await after(() => gateway.set('a', { name: 'still here' }));
  assert.equal(text(), 'still here ');
  assert.deepEqual(gateway.watched, [['a']]);
});

test('an unmounted user lingers: it returns without a request and without waiting', async ({ gateway, show, clock }) => {
  const { Name, renders } = counted();
  gateway.put('a', { name: 'Ann' });
  gateway.put('b');
  const b = h(Name, { id: 'b', key: 'b' });
  const { again, text } = await show([b, h(Name, { id: 'a', key: 'a' })]);
  await again([b]);
  await after(() => gateway.set('a', { name: 'changed meanwhile' }));
  await after(() => clock.advance(20_000));
  renders.a = 0;
  await again([b, h(Name, { id: 'a', key: 'a' })]);
  assert.equal(text(), 'b changed meanwhile ');
  assert.equal(renders.a, 1);
  assert.equal(gateway.watched.length, 1);
  await again([]);
  await after(() => clock.advance(100_000));
  assert.equal(messages(gateway, 'complete').length, 1);
});

test('ids change, and may be none', async ({ gateway, show }) => {
  const { Name } = counted();
  for (const id of ['a', 'b']) gateway.put(id);
  const { again, text } = await show(h(Name, { id: null }));
  assert.equal(text(), 'idle ');
  assert.equal(gateway.sockets.length, 0);
  const seen = [];
  for (const id of ['a', 'b', undefined, 'b', 'nobody', null, 'a']) {
    await again(h(Name, { id }));
    seen.push(text());
  }
  assert.deepEqual(seen, ['a ', 'b ', 'idle ', 'b ', 'nobody ', 'idle ', 'a ']);
  await after(() => gateway.set('b', { name: 'not shown' }));
  assert.equal(text(), 'a ');
  assert.deepEqual(gateway.watched, [['a'], ['b'], ['nobody']]);
});

test('ids of every kind, also those of which objects know something', async ({ gateway, show }) => {
  const ids = ['__proto__', 'constructor', 'toString', 'a,b', '["a"]', '0', ' ', '😀', 'é', 'x'.repeat(255)];
  for (const id of ids) gateway.put(id, { name: 'N' });
  const initial = Object.fromEntries(ids.slice(0, 2).map((id) => [id, gateway.users.get(id)]));
  function All() {
    return [...useUsers(ids), ...ids.map((id) => useUser(id))].map(shownOf).join('');
  }
  const { text } = await show(h(All), { initial });
  assert.equal(text(), 'N '.repeat(20));
  assert.deepEqual(gateway.watched, [ids]);
});

test('an id that no user can have is an error, and the others are shown', async ({ gateway, show }) => {
  const bad = ['', 'x'.repeat(256), 'a\0b', '\ud800'];
  gateway.put('a');
  const seen = [];
  function All() {
    seen.push(useUsers([...bad, 'a']));
    return bad.map((id) => shownOf(useUser(id)) + useUserOnline(id).error.code).join(' ');
  }
  for (const strict of [false, true]) {
    const { again, text, close } = await show(h(All), { strict });
    assert.equal(text(), bad.map(() => 'error:INVALID_INPUT INVALID_INPUT').join(' '));
    assert.deepEqual(seen.at(-1).map(shownOf), [...bad.map(() => 'error:INVALID_INPUT '), 'a ']);
    const rendered = seen.length;
    await again(h(All));
    assert.ok(seen.length <= rendered + 2);
    await close();
  }
  assert.deepEqual(gateway.watched, [['a']]);
});

test('useUsers: the same array until something in it changes', async ({ gateway, show }) => {
  for (const id of ['a', 'b', 'c']) gateway.put(id);
  const seen = [];
  function Team({ ids }) {
    seen.push(useUsers(ids));
    return seen.at(-1).map(shownOf).join('');
  }
  const { again, text } = await show(h(Team, { ids: ['a', 'b', 'a'] }));
  assert.equal(text(), 'a b a ');
  assert.equal(seen.length, 2);
  const first = seen.at(-1);
  const sent = gateway.socket.received.length;
  for (let time = 0; time < 5; time++) await again(h(Team, { ids: ['a', 'b', 'a'] }));
  assert.ok(seen.slice(1).every((array) => array === first));
  assert.equal(gateway.socket.received.length, sent);
  await after(() => gateway.set('c', { name: 'of no interest' }));
  assert.equal(seen.at(-1), first);
  await after(() => gateway.set('b', { name: 'Bob' }));
  assert.notEqual(seen.at(-1), first);
  assert.equal(seen.at(-1)[0], first[0]);
  assert.equal(text(), 'a Bob a ');
  await again(h(Team, { ids: ['c', 'b'] }));
  assert.equal(text(), 'of no interest Bob ');
  await again(h(Team, { ids: [] }));
  assert.equal(text(), '');
  assert.deepEqual(gateway.watched, [['a', 'b'], ['c']]);
});

test('useUsers: what changes in one turn is looked at and rendered once', async ({ gateway, session, show }) => {
  const ids = idsOf(2000);
  const first = session.user('u0');
  const { peek } = Object.getPrototypeOf(first);
  let looks = 0;
  first.peek = () => (looks++, peek.call(first));
  for (const id of ids) gateway.put(id);
  let renders = 0;
  function Team() {
    renders++;
    return useUsers(ids).filter(({ user }) => user?.name === 'new').length;
  }
  const { text } = await show(h(Team));
  renders = looks = 0;
  await after(() => {
    for (const id of ids) gateway.set(id, { name: 'new' });
  });
  assert.equal(text(), '2000');
  assert.equal(renders, 1);
  assert.ok(looks < 10, `${looks} looks at each of 2,000 users`);
});

test('useUsers: one that is refused leaves the others alone', async ({ gateway, show }) => {
  for (const id of ['a', 'b']) gateway.put(id);
  gateway.hook = (socket, { id, type, payload }) => {
    if (type !== 'subscribe') return false;
    const entries = payload.variables.ids.map((each) => ({ id: each, user: each === 'b' ? null : gateway.users.get(each) }));
    socket.next(id, { usersChanged: entries }, [{ ...refusal('FORBIDDEN'), path: ['usersChanged', 1, 'user'] }]);
    return true;
  };
  function Team() {
    return useUsers(['a', 'b']).map(shownOf).join('');
  }
  const { text } = await show(h(Team));
  assert.equal(text(), 'a error:FORBIDDEN ');
});

test('a refusal is shown with what was known, and retry asks again', async ({ gateway, show, session }) => {
  gateway.put('a', { name: 'Ann' });
  let result;
  const { again, text } = await show(
    h(function User() {
      result = useUser('a');
      return shownOf(result);
    }),
  );
  assert.equal(text(), 'Ann ');
  const operation = gateway.subscribed.at(-1).id;
  await after(() => gateway.socket.tell({ id: operation, type: 'error', payload: [refusal('FORBIDDEN')] }));
  assert.equal(text(), 'error:FORBIDDEN ');
  assert.equal(result.user.name, 'Ann');
  assert.equal(result.error.code, 'FORBIDDEN');
  await after(() => result.retry());
  assert.equal(text(), 'Ann ');
  assert.equal(session.user('a').peek().name, 'Ann');
  assert.equal(gateway.watched.length, 2);
  await again(null);
});

test('an error lasts until nobody shows the user, then it is asked for again', async ({ gateway, show }) => {
  const { Name } = counted();
  gateway.put('a');
  let refuses = true;
  gateway.hook = (socket, { id, type }) => {
    if (type !== 'subscribe' || !refuses) return false;
    socket.tell({ id, type: 'error', payload: [refusal('FORBIDDEN')] });
    return true;
  };
  const [one, two] = [h(Name, { id: 'a', key: 1 }), h(Name, { id: 'a', key: 2 })];
  const { again, text } = await show([one]);
  assert.equal(text(), 'error:FORBIDDEN ');
  refuses = false;
  await again([one, two]);
  assert.equal(text(), 'error:FORBIDDEN error:FORBIDDEN ');
  assert.equal(gateway.watched.length, 1);
  await again([]);
  await again([two]);
  assert.equal(text(), 'a ');
});

test('an error of a subscription that nobody has any more is not shown to who comes in the same turn', async ({ gateway, show }) => {
  const { Name } = counted();
  gateway.put('a');
  const { again, text } = await show([h(Name, { id: 'a', key: 1 })]);
  const { id } = gateway.subscribed.at(-1);
  await again([h(Name, { id: 'a', key: 2 })], (render) =>
    React.act(() => {
      gateway.socket.tell({ id, type: 'error', payload: [refusal('FORBIDDEN')] });
      render();
    }),
  );
  await after();
  assert.equal(text(), 'a ');
});

test('a session that has failed goes on with another token, and so does what is shown', async ({ clock, gateway, open, show }) => {
  gateway.put('a');
  gateway.refuseToken = (token) => (token === 'good' ? undefined : [4403, 'no']);
  const session = open({ token: 'bad', onError: () => {} });
  const { Name } = counted();
  function Status() {
    return `${useSessionStatus()} ${useUserOnline('a').status}`;
  }
  const { text } = await show([h(Name, { id: 'a', key: 1 }), h(Name, { id: 'b', key: 2 }), h(Status, { key: 3 })], { session });
  assert.equal(text(), 'error:UNAUTHENTICATED error:UNAUTHENTICATED failed error');
  await after(() => session.setToken('good'));
  await after(() => clock.advance(1000));
  assert.equal(text(), 'a nobody connected active');
});

test('while the network is away everything stays, and afterwards only what differs is rendered', async ({ gateway, show, clock }) => {
  const { Name, renders } = counted();
  for (const id of ['a', 'b']) gateway.put(id);
  const { text } = await show(['a', 'b'].map((id) => h(Name, { id, key: id })));
  const before = { ...renders };
  await after(() => gateway.cut());
  gateway.put('b', { name: 'Bob' });
  assert.equal(text(), 'a b ');
  await after(() => clock.advance(1000));
  assert.equal(text(), 'a Bob ');
  assert.deepEqual(renders, { a: before.a, b: before.b + 1 });
});

test('useUserOnline', async ({ gateway, show, clock }) => {
  gateway.put('a', { name: 'Ann' });
  let renders = 0;
  const seen = [];
  function Dot({ id }) {
    renders++;
    seen.push(useUserOnline(id));
    const { status, isConnected, user } = seen.at(-1);
    return `${status} ${isConnected} ${user?.name}`;
  }
  const { again, text } = await show(h(Dot, { id: null }));
  assert.equal(text(), 'idle undefined undefined');
  await again(h(Dot, { id: 'a' }));
  assert.equal(text(), 'active false Ann');
  await after(() => gateway.setOnline('a', true));
  await after(() => gateway.setOnline('a', true));
  assert.equal(text(), 'active true Ann');
  await after(() => gateway.set('a', { name: 'Anna' }));
  assert.equal(text(), 'active true Anna');
  renders = 0;
  await again([h(Dot, { id: 'a', key: 'another component' })]); // one goes, one comes
  assert.equal(text(), 'active true Anna');
  assert.equal(renders, 1);
  await again([]);
  await after(() => clock.advance(60_000));
  seen.length = 0;
  await again([h(Dot, { id: 'a', key: 'later' })]);
  assert.deepEqual(seen.map(({ status }) => status), ['pending', 'active']); // what was long ago is not shown
  assert.equal(text(), 'active true Anna');
});

test('useSetUser: the same function always; what it has set is shown before it answers', async ({ gateway, show }) => {
  gateway.put('a', { name: 'Ann' });
  const functions = new Set();
  let setUser;
  function User() {
    setUser = useSetUser();
    functions.add(setUser);
    return shownOf(useUser('a'));
  }
  const { again, text } = await show([h(User, { key: 1 }), h(User, { key: 2 })]);
  let result;
  await after(async () => {
    result = await setUser('a', { name: 'Anna', custom: { team: 'blue' } });
  });
  assert.deepEqual([result.user.name, result.created, result.changed], ['Anna', false, true]);
  assert.equal(text(), 'Anna Anna ');
  await again([h(User, { key: 1 }), h(User, { key: 3 })]);
  assert.equal(functions.size, 1);
  await assert.rejects(setUser('', { name: 'x' }), { code: 'INVALID_INPUT' });
  gateway.hook = (socket, { id, type }) => {
    if (type !== 'subscribe') return false;
    socket.tell({ id, type: 'error', payload: [refusal('FORBIDDEN')] });
    return true;
  };
  await after(() => assert.rejects(setUser('a', { name: 'No' }), { code: 'FORBIDDEN' }));
  assert.equal(text(), 'Anna Anna ');
});

test('useSession and useSessionStatus', async ({ gateway, show, session, clock }) => {
  const { Name } = counted();
  gateway.put('a');
  let renders = 0;
  function Status() {
    renders++;
    assert.equal(useSession(), session);
    return useSessionStatus();
  }
  const { again, text } = await show([h(Status, { key: 'status' })]);
  const seen = [text()];
  await again([h(Status, { key: 'status' }), h(Name, { id: 'a', key: 'a' })]);
  seen.push(text());
  await after(() => gateway.cut());
  seen.push(text());
  await after(() => clock.advance(1000));
  seen.push(text());
  assert.deepEqual(seen, ['idle', 'connecteda ', 'reconnectinga ', 'connecteda ']);
  assert.ok(renders <= 6);
});

test('a provider may be given another session', async ({ gateway, open, show, session }) => {
  gateway.put('a', { name: 'Ann' });
  const other = open();
  const { Name } = counted();
  const within = (given) => h(UserlineProvider, { session: given }, h(Name, { id: 'a' }));
  const { again, text } = await show(within(session));
  await again(within(other));
  assert.equal(text(), 'Ann ');
  await after(() => gateway.set('a', { name: 'Anna' }));
  assert.equal(text(), 'Anna ');
  assert.equal(gateway.sockets.length, 2);
});

test('a session that is closed shows what it knew, and an error to who comes later', async ({ gateway, show, session }) => {
  const { Name } = counted();
  gateway.put('a');
  const a = h(Name, { id: 'a', key: 'a' });
  const { again, text } = await show([a], { initial: { a: gateway.users.get('a') } });
  await after(() => session.close());
  assert.equal(text(), 'a ');
  await again([a, h(Name, { id: 'b', key: 'b' })]);
  assert.equal(text(), 'a error:SESSION_CLOSED ');
  await again([a, h(UserlineProvider, { session, initial: { c: null }, key: 'late' }, 'late')]);
  assert.equal(text(), 'a late');
});

test('without a provider, hooks say what is missing', async ({ logged }) => {
  const { renderToString } = (await import('./library.mjs')).require('react-dom/server');
  const { Name } = counted();
  assert.throws(() => renderToString(h(Name, { id: 'a' })), /There is no <UserlineProvider>/);
  logged.length = 0;
  await settle();
});
