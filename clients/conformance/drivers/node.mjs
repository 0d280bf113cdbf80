// Drives the TypeScript client: takes commands as lines of JSON and answers so (README.md has all of them).
// `node node.mjs [PATH OF index.js]`; without a path, what is built in clients/typescript/dist.
import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));
const client = resolve(process.argv[2] ?? `${HERE}/../../typescript/dist/index.js`);
const tell = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

// The clock: it stands still until the runner moves it. What Node does inside goes by clocks of its own.

const clock = { now: 1000, wall: 1_800_000_000_000, last: 0, timers: new Map() };
globalThis.setTimeout = (callback, ms = 0, ...given) => {
  const id = ++clock.last;
  clock.timers.set(id, { at: clock.now + Math.max(Number(ms) || 0, 0), run: () => callback(...given) });
  return id;
};
globalThis.clearTimeout = (id) => clock.timers.delete(id);
performance.now = () => clock.now;
Date.now = () => clock.wall;
const random = Math.random;

const turns = async (count) => {
  for (let turn = 0; turn < count; turn++) await new Promise((done) => setImmediate(done));
};
const pass = (ms) => {
  clock.now += ms;
  clock.wall += ms;
};
async function advance(ms) {
  const end = clock.now + ms;
  for (;;) {
    let next;
    for (const [id, { at }] of clock.timers) if (at <= end && !(next && next.at <= at)) next = { id, at };
    if (!next) break;
    const { run } = clock.timers.get(next.id);
    clock.timers.delete(next.id);
    pass(Math.max(next.at - clock.now, 0));
    run();
    await turns(2);
  }
  pass(Math.max(end - clock.now, 0));
}

// The surroundings of a page.

const windowEvents = new EventTarget();
const page = { hidden: false };
let listeners = 0;
globalThis.addEventListener = (...given) => (listeners++, windowEvents.addEventListener(...given));
globalThis.removeEventListener = (...given) => (listeners--, windowEvents.removeEventListener(...given));
globalThis.document = page;
console.error = console.warn = (...line) => tell({ event: 'logged', text: line.map(String).join(' ') });

const library = await import(pathToFileURL(client).href);
const { createSession } = library;
const WebSocket = createRequire(`${HERE}/../../typescript/package.json`)('ws');

// What the runner names, and what it is shown.

const sessions = new Map();
const subscriptions = new Map();
const iterators = new Map();
const asked = new Map();
const objects = [];

/** The number of an object: the same one each time. */
const numberOf = (object) => {
  const known = objects.indexOf(object);
  return known < 0 ? objects.push(object) - 1 : known;
};
const show = (value) => {
  if (value instanceof Map) return { users: [...value].map(([id, user]) => [id, show(user)]), object: numberOf(value) };
  if (value && 'isConnected' in value) return { user: show(value.user), isConnected: value.isConnected, object: numberOf(value) };
  return value && { user: value, object: numberOf(value) };
};
/** The names of all classes of the client that an error is of. */
const kindOf = (error) =>
  Object.keys(library).filter((name) => typeof library[name] === 'function' && library[name].prototype && error instanceof library[name]).sort().join(' ');
const showError = (error) => ({
  code: error?.code ?? String(error),
  kind: kindOf(error),
  message: error?.message,
  closeCode: error?.closeCode,
  retryAfterSeconds: error?.retryAfterSeconds,
  field: error?.field,
  problems: error?.problems,
});
const showState = ({ type, latestSnapshot, error }) => ({
  type,
  ...(type === 'active' && { latestSnapshot: show(latestSnapshot) }),
  ...(error && { error: showError(error) }),
});
const read = (input) =>
  JSON.parse(JSON.stringify(input), (key, value) => (value && value.$unsendable ? NaN : value));

let asks = 0;
const COMMANDS = {
  sync: async () => void (await turns(6)),
  open({ session, url, token, userId, shared, asksForTokens, timeout, idle }) {
    const made = createSession({
      url,
      WebSocket,
      fresh: !shared,
      ...(token !== undefined && { token }),
      ...(userId !== undefined && { userId }),
      ...(timeout !== undefined && { timeout }),
      ...(idle !== undefined && { idleTimeout: idle }),
      onError: (error) => tell({ event: 'failed', session, error: showError(error) }),
      ...(asksForTokens && {
        onNeedToken: () =>
          new Promise((resolve, reject) => {
            asked.set(++asks, { resolve, reject });
            tell({ event: 'needToken', session, ask: asks });
          }),
      }),
    });
    made.onStatusChange((status) => tell({ event: 'status', session, status }));
    sessions.set(session, made);
    return { object: numberOf(made) };
  },
  answerToken({ ask, token, error }) {
    if (error) asked.get(ask).reject(new Error(error));
    else asked.get(ask).resolve(token);
  },
  setToken: ({ session, token }) => sessions.get(session).setToken(token),
  close: ({ session }) => sessions.get(session).close(),
  user: ({ session, user }) => ({ id: sessions.get(session).user(user).id, object: numberOf(sessions.get(session).user(user)) }),
  users: ({ session, users }) => ({ ids: sessions.get(session).users(users).ids }),
  get: async ({ session, user }) => show(await sessions.get(session).user(user).get()),
  getMany: async ({ session, users }) => (await sessions.get(session).users(users).get()).map(show),
  async set({ session, user, input }) {
    const { user: is, created, changed } = await sessions.get(session).user(user).set(read(input));
    return { user: show(is), created, changed };
  },
  async createIfNotExists({ session, user, input }) {
    const { user: is, created } = await sessions.get(session).user(user).createIfNotExists(read(input));
    return { user: show(is), created };
  },
  delete: ({ session, user }) => sessions.get(session).user(user).delete(),
  app: async ({ session }) => {
    const app = await sessions.get(session).app();
    return { ...app, object: numberOf(app) };
  },
  subscribe({ session, subscription, user, users, online, callback }) {
    const from = sessions.get(session);
    const onSnapshot = (value) => {
      tell({ event: 'shown', subscription, value: show(value) });
      if (callback === 'raise') throw new Error('of the application');
      for (const command of callback ?? []) COMMANDS[command.do](command);
    };
    const made = users
      ? from.users(users).subscribe(onSnapshot)
      : online
        ? from.user(user).subscribeOnline(onSnapshot)
        : from.user(user).subscribe(onSnapshot);
    subscriptions.set(subscription, made);
    return showState(made.state);
  },
  state: ({ subscription }) => showState(subscriptions.get(subscription).state),
  connected: async ({ subscription }) => showState(await subscriptions.get(subscription).connected),
  terminated: async ({ subscription }) => showState(await subscriptions.get(subscription).terminated),
  unsubscribe: ({ subscription }) => subscriptions.get(subscription).unsubscribe(),
  iterate: ({ subscription, iterator }) => void iterators.set(iterator, subscriptions.get(subscription)[Symbol.asyncIterator]()),
  async next({ iterator }) {
    const { done, value } = await iterators.get(iterator).next();
    return done ? { done: true } : { done: false, value: show(value) };
  },
  tamper({ object }) {
    const done = [];
    const attempt = (name, change) => {
      try {
        change(objects[object]);
        done.push(name);
      } catch {
        // As it should be.
      }
    };
    if (objects[object] instanceof Map) {
      for (const name of ['set', 'delete', 'clear']) attempt(name, (map) => map[name]('a', null));
      return done;
    }
    attempt('name', (user) => (user.name = 'no'));
    attempt('another field', (user) => (user.added = 'no'));
    attempt('remove', (user) => { delete user.name; });
    if (objects[object].custom) attempt('custom', (user) => (user.custom.added = 'no'));
    return done;
  },
  copy: ({ object }) => [structuredClone(objects[object]), JSON.parse(JSON.stringify(objects[object]))],
  leftovers: () => ({ timers: clock.timers.size, listeners }),
  'clock.advance': async ({ ms }) => {
    await turns(2);
    await advance(ms);
    await turns(2);
    return { now: clock.now, wall: clock.wall };
  },
  'clock.block': ({ ms }) => pass(ms),
  'clock.sleep': ({ ms }) => void (clock.wall += ms),
  random: ({ value }) => void (Math.random = value === null ? random : () => value),
  page({ event, hidden }) {
    page.hidden = hidden ?? false;
    windowEvents.dispatchEvent(new Event(event)); // those of the document pass by here, too
  },
  together: ({ commands }) => void commands.forEach(run),
};

async function run(command) {
  const { id } = command;
  try {
    const result = COMMANDS[command.do](command);
    const ok = await result;
    tell({ id, ok: ok === undefined ? null : ok });
  } catch (error) {
    tell({ id, error: showError(error) });
  }
}

tell({ hello: { client: '@userline/client', abilities: ['clock', 'random', 'browser', 'share', 'status', 'handshake', 'tls', 'leftovers'] } });
for await (const line of createInterface({ input: process.stdin })) void run(JSON.parse(line));
process.exit(0);
