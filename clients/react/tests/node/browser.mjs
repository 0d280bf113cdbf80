// A document for React to render into, and what tests render with.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test as nodeTest } from 'node:test';
import { scripted, settle } from '../../../typescript/tests/node/setup.mjs';

const { Window } = createRequire(import.meta.url)('happy-dom');
const window = new Window();
// Before React is loaded, which looks what there is.
for (const name of ['document', 'HTMLElement', 'HTMLIFrameElement', 'Node', 'Event']) globalThis[name] = window[name];
globalThis.window = window;
globalThis.navigator ??= window.navigator;
globalThis.IS_REACT_ACT_ENVIRONMENT = true;

const { React, library, major, require } = await import('./library.mjs');
const { createRoot, hydrateRoot } = require('react-dom/client');
export const { act, createElement: h, StrictMode, Suspense } = React;
export const { UserlineProvider, useSession, useSessionStatus, useSetUser, useUser, useUserOnline, useUsers } = library;
export { React, hydrateRoot, major, require, settle };

/** Does something, and lets all happen that follows from it. */
export const after = (run = () => {}) =>
  act(async () => {
    await run();
    await settle();
  });

/**
 * Runs a test with a clock of its own, a gateway, a session, and `show`, which renders below a provider. It fails if
 * React, or anybody, has warned of something that the test does not take out of `logged`.
 */
export const test = (name, run) =>
  nodeTest(
    name,
    scripted(async (given) => {
      const session = given.open();
      const roots = [];
      const show = async (element, { container = document.createElement('div'), strict = false, ...props } = {}) => {
        const root = createRoot(container);
        roots.push(root);
        const wrapped = (inner) => {
          const whole = h(UserlineProvider, { session, ...props }, inner);
          return strict ? h(StrictMode, null, whole) : whole;
        };
        const again = (next, how = after) => how(() => root.render(wrapped(next)));
        await again(element);
        return { container, again, root, text: () => container.textContent, close: () => after(() => root.unmount()) };
      };
      await run({ ...given, session, show, roots });
      await act(async () => roots.forEach((root) => root.unmount()));
      await given.clock.advance(1);
      assert.deepEqual(given.logged, []);
    }),
  );

/** Shows a user's name by `useUser`, and counts how often by its id. */
export const counted = () => {
  const renders = {};
  function Name({ id, ...options }) {
    const result = useUser(id, options);
    renders[id] = (renders[id] ?? 0) + 1;
    return h('i', null, shownOf(result));
  }
  return { Name, renders };
};

export const shownOf = ({ status, user, error }) =>
  status === 'active' ? (user ? `${user.name} ` : 'nobody ') : `${status}${error ? `:${error.code}` : ''} `;
