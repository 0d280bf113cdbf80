// Where there is no document: nothing may be opened, asked for, or left running.
import assert from 'node:assert/strict';
import { after as atEnd, test } from 'node:test';
import { Writable } from 'node:stream';
import { createSession } from '../../../typescript/dist/index.js';
import { React, library, major, require } from './library.mjs';

const { createElement: h, Suspense } = React;
const { UserlineProvider, useSession, useSessionStatus, useSetUser, useUser, useUserOnline, useUsers } = library;
const { renderToString, renderToPipeableStream } = require('react-dom/server');
// In React 19, that of browsers keeps a process of Node from ending.
const { renderToReadableStream } = require(`react-dom/server.${major === 18 ? 'browser' : 'edge'}`);

const opened = [];
class NoSocket {
  constructor(...given) {
    opened.push(given);
  }
}
globalThis.WebSocket = NoSocket;
globalThis.fetch = (...given) => opened.push(given);
const logged = [];
// React notices that two builds of its renderer are in this process, one for Node and one for other servers.
console.error = console.warn = (...line) => /multiple renderers/.test(line[0]) || logged.push(line);
atEnd(() => {
  assert.deepEqual(opened, []);
  assert.deepEqual(logged, []);
});

const session = createSession({ url: 'ws://gateway/graphql', WebSocket: NoSocket });
const snapshot = (id, name) => ({
  id,
  version: '5',
  name,
  custom: {},
  locale: null,
  effectiveLocale: 'en',
  photoUrl: null,
  role: 'default',
  welcomeMessage: null,
});
const initial = { a: snapshot('a', 'Ann'), b: null };

function Page() {
  const shown = ({ status, user }) => `${status}:${user === null ? 'nobody' : user?.name}`;
  assert.equal(typeof useSetUser(), 'function');
  assert.equal(useSession(), session);
  return [
    ...['a', 'b', 'c', null, ''].map((id) => shown(useUser(id))),
    useUsers(['a', 'c', 'b']).map(shown).join('+'),
    shown(useUserOnline('a')),
    useSessionStatus(),
  ].join(' ');
}
const PAGE =
  'active:Ann active:nobody pending:undefined idle:undefined pending:undefined ' +
  'active:Ann+pending:undefined+active:nobody pending:undefined idle';
const provided = (children, more = { initial }) => h(UserlineProvider, { session, ...more }, children);

function readPipe(element, options) {
  return new Promise((resolve, reject) => {
    let text = '';
    const sink = new Writable({ write: (chunk, _, done) => done(void (text += chunk)), final: (done) => done(resolve(text)) });
    const { pipe } = renderToPipeableStream(element, { onAllReady: () => pipe(sink), onShellError: reject, ...options });
  });
}
const readStream = async (element, options) => {
  const stream = await renderToReadableStream(element, options);
  await stream.allReady;
  return new Response(stream).text();
};
const errors = [];
const onError = (error) => void errors.push(error.message);
const ways = { renderToString, renderToPipeableStream: readPipe, renderToReadableStream: readStream };

for (const [name, render] of Object.entries(ways)) {
  test(`${name} shows what is in initial, and opens nothing`, async () => {
    assert.equal(await render(provided(h(Page))), PAGE);
    assert.equal(await render(provided(h(Page), {})), PAGE.replaceAll('active:Ann', 'pending:undefined').replaceAll('active:nobody', 'pending:undefined'));
    assert.equal(session.status, 'idle');
  });

  test(`${name} does not show to one what another was given`, async () => {
    await render(provided(h(Page)));
    assert.match(await render(provided(h(Page), { initial: {} })), /^pending:undefined pending:undefined pending/);
  });

  test(`${name} leaves those who are not in initial, and are waited for, to the browser`, async () => {
    function Name({ id }) {
      return useUser(id, { suspense: true }).user?.name;
    }
    const boundary = (id) => h(Suspense, { fallback: `waiting for ${id}`, key: id }, h('b', null, h(Name, { id })));
    const text = await render(provided(['a', 'c'].map(boundary)), { onError });
    assert.match(text, /<b>Ann<\/b>/);
    assert.match(text, /waiting for c/);
    assert.doesNotMatch(text, /waiting for a/);
    assert.ok(errors.splice(0).every((message) => message === 'Not in `initial`: left to the browser.'));
  });
}

test('1,000 users are rendered without a trace', async () => {
  const ids = Array.from({ length: 1000 }, (_, number) => `u${number}`);
  const many = Object.fromEntries(ids.map((id) => [id, snapshot(id, `N${id}`)]));
  function List() {
    return useUsers(ids).map(({ user }) => h('li', { key: user.id }, user.name));
  }
  const html = renderToString(provided(h(List), { initial: many }));
  assert.equal(html.split('<li>').length, 1001);
});

test('what is no snapshot is refused, in a sentence', () => {
  for (const bad of [{ a: { id: 'a' } }, { a: 'Ann' }, { '': null }, { a: { ...snapshot('a', 'A'), version: 'x' } }]) {
    assert.throws(() => renderToString(provided(h(Page), { initial: bad })), { code: 'INVALID_INPUT' });
  }
});
