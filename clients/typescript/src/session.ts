import { place } from './batches.js';
import { callBack, onceATurn } from './clock.js';
import { makeConnection, reopen, useToken, type Limits } from './connection.js';
import type { Core } from './core.js';
import { APP } from './documents.js';
import { UserlineError } from './errors.js';
import { turn } from './liveness.js';
import { subscribeToMany } from './many.js';
import { MAX_DELAY } from './numbers.js';
import { checkOpen, request } from './request.js';
import { makeTokens, ownerOf } from './tokens.js';
import type { App, Session, SessionOptions, SessionStatus, WebSocketConstructor } from './types.js';
import { userOf, type User } from './user.js';
import { endAll, seed } from './watches.js';

const ASYNC_DISPOSE: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');

interface Told {
  id: string;
  defaultLocale: string;
  roles: { name: string; settings: Record<string, unknown> }[];
}

/**
 * Makes a session: of `owner`, if it is known who that is. One that is shared by those who act for one user has an
 * `isLast`, which says whether nobody else has it when it is closed.
 */
export const makeSession = (
  options: SessionOptions,
  url: string,
  owner: string | undefined,
  isLast?: () => boolean,
): Session => {
  const { userId } = options;
  let app: Promise<App> | undefined;
  /** What it was answered with: the limits of that socket. */
  let appOf: Limits | undefined;

  const core: Core = {
    _url: url,
    _WebSocket: options.WebSocket ?? (globalThis.WebSocket as unknown as WebSocketConstructor | undefined),
    _mayStream: !options.WebSocket,
    _timeout: Math.min(options.timeout ?? 15_000, MAX_DELAY),
    _idleTimeout: options.idleTimeout ?? 30_000,
    _tokens: makeTokens(options.onNeedToken, () => core._connections.forEach(useToken)),
    _onError: options.onError,
    _connections: [],
    _users: new Map(),
    _forgotten: new FinalizationRegistry((id) => core._users.get(id)?.deref() ?? core._users.delete(id)),
    _idle: new Set(),
    _lingering: new Set(),
    _queue: new Set(),
    _toReview: new Set(),
    _resting: new Map(),
    _schedule: onceATurn(() => place(core)),
  };
  const main = makeConnection(core);
  core._connections.push(main);

  /** Hears of the network and of the page, where the platform tells. */
  const onPage = ({ type }: Event): void => {
    if (type === 'visibilitychange' && document.hidden) return;
    for (const connection of core._connections) turn(connection, type);
  };
  const listen = (method: 'addEventListener' | 'removeEventListener'): void => {
    // Those of the document pass by the window on their way.
    for (const type of ['online', 'pageshow', 'pagehide', 'visibilitychange', 'freeze', 'resume']) {
      (globalThis as Partial<EventTarget>)[method]?.(type, onPage, true);
    }
  };

  const session: Session = {
    get currentUser() {
      const id = userId ?? core._tokens._subject;
      return id ? session.user(id) : null;
    },

    get status() {
      return main._status;
    },

    onStatusChange(listener) {
      const tell = (status: SessionStatus): void => void callBack(listener, status); // the same one may be given twice
      main._listeners.add(tell);
      return () => main._listeners.delete(tell);
    },

    user: (id) => userOf(core, id),

    users(given) {
      const users = Array.from(given, session.user) as User[];
      return {
        ids: Object.freeze(users.map((user) => user.id)),
        get: () => Promise.all(users.map((user) => user.get())),
        subscribe: (onSnapshot, subscribing) => subscribeToMany(users, onSnapshot)._begun(subscribing),
      };
    },

    seed(pairs) {
      for (const [id, snapshot] of pairs) seed(userOf(core, id), snapshot);
    },

    async app() {
      // Until it has come, it may come over the next socket.
      if (!app || (appOf && appOf !== main._limits)) {
        appOf = undefined;
        app = request(core, APP, {}, ({ id, defaultLocale, roles }: Told) => {
          const byName = Object.fromEntries(roles.map((role) => [role.name, role.settings]));
          appOf = main._limits;
          return Object.freeze({ id, defaultLocale, roles: Object.freeze(byName) });
        });
        app.catch(() => (app = undefined));
      }
      return app;
    },

    setToken(token) {
      checkOpen(core);
      if (isLast) ownerOf(token, owner);
      core._tokens._set(token);
    },

    reconnect() {
      core._connections.forEach(reopen);
    },

    async close() {
      if (core._closed || (isLast && !isLast())) return;
      const error = (core._closed = new UserlineError('SESSION_CLOSED', 'The session is closed.'));
      listen('removeEventListener');
      endAll(core, error, 'closed');
      for (const timer of [core._sweeper, ...core._resting.keys()]) clearTimeout(timer);
    },

    [ASYNC_DISPOSE]: () => session.close(),
  };
  if (options.token !== undefined) core._tokens._set(options.token);
  listen('addEventListener');
  return session;
};
