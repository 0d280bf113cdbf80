import { createSession } from '../../dist/index.js';
import { FakeClock, settle } from './clock.mjs';
import { Gateway } from './gateway.mjs';

export { settle };

/** Runs a test with a clock of its own, a gateway, and what makes sessions, which are closed and leave no timer. */
export const scripted = (run) => async () => {
  const clock = new FakeClock().install();
  const gateway = new Gateway();
  const sessions = [];
  const logged = [];
  const console = { error: globalThis.console.error, warn: globalThis.console.warn };
  globalThis.console.error = globalThis.console.warn = (...line) => logged.push(line);
  const open = (options = {}) => {
    const session = createSession({ url: 'ws://gateway/graphql', WebSocket: gateway.WebSocket, fresh: true, ...options });
    sessions.push(session);
    return session;
  };
  try {
    await run({ clock, gateway, open, logged });
    for (const session of sessions) await session.close();
    await settle();
    if (clock.timers.size) throw new Error(`${clock.timers.size} timers are left behind`);
    if (gateway.live.length) throw new Error('a socket is left behind');
  } finally {
    clock.uninstall();
    Object.assign(globalThis.console, console);
  }
};

/** Opens a session that watches the user `a`, and returns it with what the subscription shows, once it is active. */
export const watchingA = async (open) => {
  const session = open();
  const { names, listener } = recorder();
  session.user('a').subscribe(listener);
  await settle();
  return { session, names };
};

/** A JWT that says this, and is signed by nobody. */
export const tokenOf = (claims) =>
  `e30.${Buffer.from(JSON.stringify({ tokenType: 'user', ...claims })).toString('base64url')}.x`;

/** Records what a subscription shows. */
export const recorder = () => {
  const seen = [];
  const listener = (value) => seen.push(value);
  return { seen, listener, names: () => seen.map((user) => user && user.name) };
};

export const refusal = (code, more = {}) => ({ message: `Refused: ${code}.`, extensions: { code, ...more } });
