import { place } from './batches.js';
import { MAX_DELAY, callBack, onceATurn } from './clock.js';
import { abandon, makeConnection, reopen, useToken, wake, type Connection } from './connection.js';
import type { Core } from './core.js';
import { APP } from './documents.js';
import { UserlineError } from './errors.js';
import { putAside } from './liveness.js';
import { subscribeToMany } from './many.js';
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
 * Makes a session: of `owner`, if it is known who that is, and shared by those who act for one user, if it `isShared`.
 * `isLast` says whether nobody else has it when it is closed.
 */
export function makeSession(
  options: SessionOptions,
  url: string,
  owner: string | undefined,
  isShared: boolean,
  isLast: () => boolean,
): Session {
  const listeners = new Set<{ readonly _tell: (status: SessionStatus) => void }>();
  const connections: Connection[] = [];
  let told: SessionStatus = 'idle';
  let app: Promise<App> | undefined;
  /** Over which socket it was answered. */
  let appOf = 0;

  const core: Core = {
    _url: url,
    _WebSocket: options.WebSocket ?? (globalThis.WebSocket as unknown as WebSocketConstructor | undefined),
    _mayStream: !options.WebSocket,
    _timeout: Math.min(options.timeout ?? 15_000, MAX_DELAY),
    _idleTimeout: options.idleTimeout ?? 30_000,
    _tokens: makeTokens(options.onNeedToken, () => connections.forEach(useToken)),
    _connections: connections,
    _users: new Map(),
    _forgotten: new FinalizationRegistry((id) => core._users.get(id)?.deref() ?? core._users.delete(id)),
    _idle: new Set(),
    _lingering: new Map(),
    _queue: new Set(),
    _toReview: new Set(),
    _timers: new Set(),
    _schedule: onceATurn(() => place(core)),
    _onFatal(error) {
      void callBack(options.onError ?? console.error, error);
    },
    _statusChanged() {
      const { status } = session;
      if (status === told) return;
      told = status;
      for (const { _tell } of [...listeners]) void callBack(_tell, status);
    },
  };
  const main = makeConnection(core);
  connections.push(main);

  const readApp = async (): Promise<App> => {
    try {
      return await request(core, APP, 'app', {}, ({ id, defaultLocale, roles }: Told) => {
        const byName = Object.fromEntries(roles.map(({ name, settings }) => [name, settings]));
        appOf = main._sockets;
        return Object.freeze({ id, defaultLocale, roles: Object.freeze(byName) });
      });
    } catch (error) {
      app = undefined;
      throw error;
    }
  };

  /** Hears of the network and of the page, where the platform tells. */
  const onPage = ({ type }: Event): void => {
    if (type === 'visibilitychange' && document.hidden) return;
    const isAway = type === 'pagehide' || type === 'freeze';
    connections.forEach((connection) => (isAway ? putAside(connection) : wake(connection, type === 'online')));
  };
  const listen = (method: 'addEventListener' | 'removeEventListener'): void => {
    for (const type of ['online', 'pageshow', 'pagehide']) (globalThis as Partial<EventTarget>)[method]?.(type, onPage);
    for (const type of ['visibilitychange', 'freeze', 'resume']) globalThis.document?.[method](type, onPage);
  };

  const session: Session = {
    get currentUser() {
      const id = options.userId ?? core._tokens._subject;
      return id === undefined ? null : session.user(id);
    },

    get status() {
      return main._status;
    },

    onStatusChange(listener) {
      const entry = { _tell: listener }; // the same function may be given twice
      listeners.add(entry);
      return () => listeners.delete(entry);
    },

    user: (id) => userOf(core, id),

    users(given) {
      const users = Array.from(given, session.user) as User[];
      return {
        ids: Object.freeze(users.map(({ id }) => id)),
        get: () => Promise.all(users.map((user) => user.get())),
        subscribe: (onSnapshot, subscribing) => subscribeToMany(users, onSnapshot, subscribing),
      };
    },

    seed(pairs) {
      for (const [id, snapshot] of pairs) seed(userOf(core, id), snapshot);
    },

    async app() {
      // Until it has come, it may come over the next socket.
      if (!app || (appOf && !(main._isOpen && appOf === main._sockets))) {
        appOf = 0;
        app = readApp();
      }
      return app;
    },

    setToken(token) {
      checkOpen(core);
      if (isShared) ownerOf(token, owner);
      core._tokens._set(token);
    },

    reconnect() {
      connections.forEach(reopen);
    },

    async close() {
      if (core._closed || !isLast()) return;
      const error = (core._closed = new UserlineError('SESSION_CLOSED', 'The session is closed.'));
      listen('removeEventListener');
      endAll(core, error, false);
      for (const connection of connections) abandon(connection, error, 'closed');
      for (const timer of [core._sweeper, ...core._timers]) clearTimeout(timer);
    },

    [ASYNC_DISPOSE]: () => session.close(),
  };
  if (options.token !== undefined) core._tokens._set(options.token);
  listen('addEventListener');
  return session;
}
