import assert from 'node:assert/strict';
import { refusal } from '../../../typescript/tests/node/setup.mjs';
import { React, Suspense, after, h, shownOf, test, useUser, useUsers } from './browser.mjs';

const waiting = (children) => h(Suspense, { fallback: 'waiting' }, children);

function counting() {
  const renders = { count: 0 };
  function Name({ id }) {
    renders.count++;
    return shownOf(useUser(id, { suspense: true }));
  }
  return { Name, renders };
}

class Boundary extends React.Component {
  state = {};
  static getDerivedStateFromError = (error) => ({ error });
  render() {
    const { error } = this.state;
    if (!error) return this.props.children;
    return h('button', { onClick: () => this.setState({ error: undefined }) }, error.code ?? error.message);
  }
}
/** React itself tells the console of what boundaries catch. */
const caught = (logged) => logged.splice(0).length > 0;

/** Lets nothing but the fallback be seen until `open` is called. */
function held(gateway) {
  const messages = [];
  gateway.hook = (socket, message) => {
    if (message.type !== 'subscribe') return false;
    messages.push([socket, message]);
    return true;
  };
  return () => {
    gateway.hook = undefined;
    for (const [socket, { id, payload }] of messages) socket.run(id, payload);
  };
}

for (const strict of [false, true]) {
  test(`it waits for the user, asks once, and does not loop${strict ? ', in StrictMode too' : ''}`, async ({ gateway, session, show }) => {
    gateway.put('a', { name: 'Ann' });
    const ref = session.user('a');
    const { get } = Object.getPrototypeOf(ref);
    let gets = 0;
    ref.get = () => (gets++, get.call(ref));
    const open = held(gateway);
    const { Name, renders } = counting();
    const { again, text } = await show(waiting(h(Name, { id: 'a' })), { strict });
    assert.equal(text(), 'waiting');
    for (let time = 0; time < 5; time++) await again(waiting(h(Name, { id: 'a' })));
    assert.equal(gets, 1);
    const before = renders.count;
    for (let turn = 0; turn < 10; turn++) await after();
    assert.equal(renders.count, before);
    await after(open);
    assert.equal(text(), 'Ann ');
    assert.ok(renders.count <= before + (strict ? 4 : 2), `${renders.count} renders after ${before}`);
    assert.deepEqual(gateway.watched, [['a']]);
    assert.deepEqual(gateway.socket.completed, []);
    await after(() => gateway.set('a', { name: 'Anna' }));
    assert.equal(text(), 'Anna ');
  });
}

test('a provider inside of the boundary that waits does not loop either', async ({ gateway, session, show }) => {
  const { UserlineProvider } = await import('./browser.mjs');
  gateway.put('a', { name: 'Ann' });
  const { Name, renders } = counting();
  const { text } = await show(waiting(h(UserlineProvider, { session }, h(Name, { id: 'a' }))));
  assert.equal(text(), 'Ann ');
  assert.ok(renders.count <= 6);
  assert.deepEqual(gateway.watched, [['a']]);
});

test('what is known waits for nothing: `initial`, and what lingers', async ({ gateway, session, show }) => {
  for (const id of ['a', 'b']) gateway.put(id);
  await after(() => session.user('b').get());
  const { Name } = counting();
  const seen = [];
  const Fallback = () => seen.push('waited');
  const { text } = await show(
    h(Suspense, { fallback: h(Fallback) }, ['a', 'b', null].map((id, key) => h(Name, { id, key }))),
    { initial: { a: gateway.users.get('a') } },
  );
  assert.equal(text(), 'a b idle ');
  assert.deepEqual(seen, []);
});

test('many are waited for together', async ({ gateway, show }) => {
  for (const id of ['a', 'b']) gateway.put(id);
  const open = held(gateway);
  function Team() {
    return useUsers(['a', 'nobody', 'b', 'a'], { suspense: true }).map(({ user }) => user?.id ?? user).join();
  }
  const { text } = await show(waiting(h(Team)));
  assert.equal(text(), 'waiting');
  await after(open);
  assert.equal(text(), 'a,,b,a');
  assert.deepEqual(gateway.watched, [['a', 'nobody', 'b']]);
});

test('in a transition, what was is shown until the next user is known', async ({ gateway, show }) => {
  for (const id of ['a', 'b']) gateway.put(id);
  const { Name } = counting();
  let go;
  function Page() {
    const [id, setId] = React.useState('a');
    const [isPending, start] = React.useTransition();
    go = (next) => start(() => setId(next));
    return h('p', null, waiting(h(Name, { id })), isPending ? '…' : '');
  }
  const { text } = await show(h(Page));
  const open = held(gateway);
  await after(() => go('b'));
  assert.equal(text(), 'a …');
  await after(open);
  assert.equal(text(), 'b ');
});

test('an error goes to the next boundary, once, and trying again asks again', async ({ clock, gateway, logged, show }) => {
  gateway.put('a', { name: 'Ann' });
  let refuses = true;
  gateway.hook = (socket, { id, type }) => {
    if (type !== 'subscribe' || !refuses) return false;
    socket.tell({ id, type: 'error', payload: [refusal('FORBIDDEN')] });
    return true;
  };
  const { Name, renders } = counting();
  const { container, text } = await show(h(Boundary, null, waiting(h(Name, { id: 'a' }))));
  assert.equal(text(), 'FORBIDDEN');
  assert.ok(caught(logged));
  assert.equal(gateway.watched.length, 1);
  assert.ok(renders.count <= 6, `${renders.count} renders`);
  const press = () => after(() => container.querySelector('button').click());
  await after(() => clock.advance(1));
  await press();
  assert.equal(text(), 'FORBIDDEN');
  assert.ok(caught(logged));
  assert.equal(gateway.watched.length, 2);
  await after(() => clock.advance(1));
  refuses = false;
  await press();
  assert.equal(text(), 'Ann ');
});

test('an error of a subscription that was active goes to the boundary', async ({ clock, gateway, logged, show }) => {
  gateway.put('a', { name: 'Ann' });
  const { Name } = counting();
  const { container, text } = await show(h(Boundary, null, waiting(h(Name, { id: 'a' }))));
  const { id } = gateway.subscribed.at(-1);
  await after(() => gateway.socket.tell({ id, type: 'error', payload: [refusal('FORBIDDEN')] }));
  assert.equal(text(), 'FORBIDDEN');
  assert.ok(caught(logged));
  await after(() => clock.advance(1));
  await after(() => container.querySelector('button').click());
  assert.equal(text(), 'Ann ');
});

test('an id that no user can have, and a session that is closed, are errors', async ({ logged, session, show }) => {
  const { Name } = counting();
  const shows = async (id) => {
    const { text, close } = await show(h(Boundary, null, waiting(h(Name, { id }))));
    assert.ok(caught(logged));
    const seen = text();
    await close();
    return seen;
  };
  assert.equal(await shows(''), 'INVALID_INPUT');
  await session.close();
  assert.equal(await shows('a'), 'SESSION_CLOSED');
});

test('who waited in vain, beside one who goes on, is no error any more when the gateway answers', async ({ clock, gateway, logged, show }) => {
  gateway.put('a', { name: 'Ann' });
  gateway.door = 'closed';
  const { Name } = counting();
  const Beside = () => shownOf(useUser('a'));
  const { container, text } = await show([h(Beside, { key: 1 }), h(Boundary, { key: 2 }, waiting(h(Name, { id: 'a' })))]);
  await after(() => clock.advance(15_100));
  assert.equal(text(), 'error:DISCONNECTED DISCONNECTED');
  assert.ok(caught(logged));
  gateway.door = 'open';
  await after(() => clock.advance(30_000));
  assert.match(text(), /^Ann /, 'what goes on is shown');
  await after(() => container.querySelector('button').click());
  assert.equal(text(), 'Ann Ann ');
});

test('rendering again after an error asks again, also beside one who shows the error', async ({ clock, gateway, logged, show }) => {
  gateway.put('a', { name: 'Ann' });
  let refuses = true;
  gateway.hook = (socket, { id, type }) => {
    if (type !== 'subscribe' || !refuses) return false;
    socket.tell({ id, type: 'error', payload: [refusal('FORBIDDEN')] });
    return true;
  };
  const { Name } = counting();
  const Beside = () => shownOf(useUser('a'));
  const { container, text } = await show([h(Beside, { key: 1 }), h(Boundary, { key: 2 }, waiting(h(Name, { id: 'a' })))]);
  assert.equal(text(), 'error:FORBIDDEN FORBIDDEN');
  assert.ok(caught(logged));
  await after(() => clock.advance(1));
  const press = () => after(() => container.querySelector('button').click());
  await press();
  assert.equal(text(), 'error:FORBIDDEN FORBIDDEN');
  assert.ok(caught(logged));
  const asked = gateway.watched.length;
  await after(() => clock.advance(60_000));
  assert.equal(gateway.watched.length, asked, 'nobody asks by themselves');
  refuses = false;
  await press();
  assert.equal(text(), 'Ann Ann ');
  assert.equal(gateway.socket.operations.size, 1);
});
