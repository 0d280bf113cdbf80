import assert from 'node:assert/strict';
import {
  Suspense,
  UserlineProvider,
  after,
  h,
  hydrateRoot,
  require,
  shownOf,
  test,
  useSessionStatus,
  useUser,
  useUserOnline,
  useUsers,
} from './browser.mjs';

const { renderToString } = require('react-dom/server');
const { createSession } = await import('../../../typescript/dist/index.js');

/** Renders as a server does, with a session of its own, takes it over as a browser does, and returns what is to be seen. */
async function hydrated({ session, roots }, element, initial, { onRecoverableError } = {}) {
  const server = createSession({ url: 'ws://gateway/graphql', fresh: true, WebSocket: class {} });
  const html = renderToString(h(UserlineProvider, { session: server, initial }, element));
  const container = document.createElement('div');
  container.innerHTML = html;
  const problems = [];
  await after(() => {
    const props = { session, initial: JSON.parse(JSON.stringify(initial)) };
    roots.push(hydrateRoot(container, h(UserlineProvider, props, element), { onRecoverableError: onRecoverableError ?? ((error) => problems.push(error)) }));
  });
  assert.deepEqual(problems, []);
  return { html, container, text: () => container.textContent };
}
const naming = () => {
  const seen = [];
  return { seen, Name: ({ id }) => (seen.push(shownOf(useUser(id))), h('b', null, seen.at(-1))) };
};
/** A snapshot as another gateway has it, some versions away. */
const moved = (user, versions, name) => ({ ...user, name, version: String(BigInt(user.version) + BigInt(versions)) });

test('a page is taken over without a warning, and then it is live', async (given) => {
  const { gateway } = given;
  const user = gateway.put('a', { name: 'Ann' });
  gateway.online.add('a');
  const { Name } = naming();
  function Page() {
    return [
      h(Name, { id: 'a', key: 1 }),
      h(Name, { id: 'c', key: 2 }),
      h('i', { key: 3 }, useUsers(['a', 'b']).map(shownOf).join('')),
      h('i', { key: 4 }, useUserOnline('a').status, useSessionStatus()),
    ];
  }
  const { html, container, text } = await hydrated(given, h(Page), { a: user, b: null });
  assert.match(html, /^<b>Ann <\/b><b>pending <\/b><i>Ann nobody <\/i><i>pending<!-- -->idle<\/i>$/);
  assert.equal(text(), 'Ann nobody Ann nobody activeconnected');
  const [first] = container.querySelectorAll('b');
  await after(() => gateway.set('a', { name: 'Anna' }));
  assert.equal(text(), 'Anna nobody Anna nobody activeconnected');
  assert.equal(container.querySelector('b'), first);
  assert.equal(gateway.watched.length, 1);
});

test('what the page knows is newer than what a gateway says: nothing goes back', async (given) => {
  const { gateway } = given;
  const old = gateway.put('a', { name: 'old' });
  const { Name, seen } = naming();
  const { text } = await hydrated(given, h(Name, { id: 'a' }), { a: moved(old, 5, 'new') });
  assert.equal(text(), 'new ');
  await after(() => {
    gateway.users.set('a', moved(old, 4, 'still old'));
    gateway.changed(['a']);
  });
  assert.equal(text(), 'new ');
  assert.deepEqual([...new Set(seen)], ['new ']);
  await after(() => {
    gateway.users.set('a', moved(old, 6, 'newest'));
    gateway.changed(['a']);
  });
  assert.equal(text(), 'newest ');
});

test('what the page knows is older: it is taken over as it is, and then it is what the gateway says', async (given) => {
  const { gateway } = given;
  const user = gateway.put('a', { name: 'now' });
  const { Name, seen } = naming();
  const { html, text } = await hydrated(given, h(Name, { id: 'a' }), { a: moved(user, -3, 'before') });
  assert.equal(html, '<b>before </b>');
  assert.equal(text(), 'now ');
  assert.equal(seen[0], 'before ');
  assert.equal(seen.at(-1), 'now ');
});

test('what the session knows is newer than the page: no warning, and it is shown', async (given) => {
  const { gateway, session } = given;
  const user = gateway.put('a', { name: 'now' });
  await after(() => session.user('a').get());
  const { Name } = naming();
  const { text } = await hydrated(given, h(Name, { id: 'a' }), { a: moved(user, -3, 'before') });
  assert.equal(text(), 'now ');
});

test('who was deleted since the page was made is gone, and stays so', async (given) => {
  const { gateway } = given;
  const user = gateway.put('a', { name: 'Ann' });
  gateway.users.delete('a');
  const { Name } = naming();
  const { text } = await hydrated(given, h(Name, { id: 'a' }), { a: user });
  assert.equal(text(), 'nobody ');
  await after(() => {
    gateway.users.set('a', moved(user, -1, 'late'));
    gateway.changed(['a']);
  });
  assert.equal(text(), 'nobody ');
});

test('what is waited for: those of the page at once, the others by the browser', async (given) => {
  const { gateway } = given;
  const user = gateway.put('a', { name: 'Ann' });
  gateway.put('c', { name: 'Carl' });
  const Name = ({ id }) => h('b', null, useUser(id, { suspense: true }).user.name);
  const boundary = (id) => h(Suspense, { fallback: 'waiting', key: id }, h(Name, { id }));
  const told = [];
  const { html, text } = await hydrated(given, ['a', 'c'].map(boundary), { a: user }, { onRecoverableError: (error) => told.push(error) });
  assert.match(html, /<b>Ann<\/b>.*waiting/s);
  assert.equal(text(), 'AnnCarl');
  assert.equal(told.length, 1); // of the one that was left to the browser
});

test('an `initial` that comes later is shown where it is newer', async ({ gateway, session, show }) => {
  const user = gateway.put('a', { name: 'Ann' });
  const { Name } = naming();
  const within = (initial) => h(UserlineProvider, { session, initial }, h(Name, { id: 'a' }));
  const { again, text } = await show(within({}));
  await again(within({ a: moved(user, -1, 'older') }));
  assert.equal(text(), 'Ann ');
  await again(within({ a: moved(user, 9, 'newer') }));
  assert.equal(text(), 'newer ');
});
