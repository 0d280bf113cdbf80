import { callBack } from './clock.js';
import type { Connection } from './connection.js';
import { APP, checkId, encode } from './documents.js';
import { ConnectionTimeout, Disconnected, InvalidInput, ProtocolError, SessionClosed, type UserlineError } from './errors.js';
import type { Operation } from './operation.js';
import { Ref, Refs } from './refs.js';
import { Tokens, readClaims, subjectOf } from './tokens.js';
import type { App, Session, SessionOptions, SessionStatus, UserRef, UserRefs, UserSnapshot, WebSocketConstructor } from './types.js';
import { Watches } from './watches.js';

const ASYNC_DISPOSE: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');

/** What the references of a session share, and the session itself: see `Session` in types.ts. */
export class Core implements Session {
  readonly _options: SessionOptions;
  /** Whose session it is, if that was said. */
  readonly _userId: string | undefined;
  readonly _onClose: () => void;
  readonly _tokens: Tokens;
  readonly _watches: Watches;
  readonly _timeout: number;
  readonly _refs = new Map<string, WeakRef<Ref>>();
  readonly _forgotten = new FinalizationRegistry<string>((id) => {
    if (!this._refs.get(id)?.deref()) this._refs.delete(id);
  });
  readonly _listeners = new Set<(status: SessionStatus) => void>();
  _told: SessionStatus = 'idle';
  _app: Promise<App> | undefined;
  /** Which socket it was asked over. */
  _appOf = 0;
  /** How many have asked for the session and not closed it. */
  _holders = 0;

  constructor(options: SessionOptions, url: string, userId: string | undefined, onClose: () => void) {
    this._options = options;
    this._userId = userId;
    this._onClose = onClose;
    this._timeout = options.timeout ?? 15_000;
    this._tokens = new Tokens(options.onNeedToken, () => this._each((connection) => connection._useToken()));
    this._watches = new Watches({
      _url: url,
      _WebSocket: options.WebSocket ?? (globalThis.WebSocket as unknown as WebSocketConstructor | undefined),
      _mayStream: !options.WebSocket,
      _tokens: this._tokens,
      _timeout: this._timeout,
      _idleTimeout: options.idleTimeout ?? 30_000,
      _outOfTime: () => this._outOfTime(),
      _onFatal: (error) => {
        if (options.onError) callBack(options.onError, error);
        else console.error('A userline session cannot go on', error);
      },
      _statusChanged: () => {
        const { status } = this;
        if (status === this._told) return;
        this._told = status;
        for (const listener of [...this._listeners]) callBack(listener, status);
      },
    });
    if (options.token !== undefined) this._tokens._set(options.token);
    this._listen(true);
  }

  get currentUser(): UserRef | null {
    const id = this._options.userId ?? subjectOf(this._tokens._claims);
    return id === undefined ? null : this.user(id);
  }

  get status(): SessionStatus {
    return this._main._status;
  }

  onStatusChange(listener: (status: SessionStatus) => void): () => void {
    this._listeners.add(listener);
    return () => this._listeners.delete(listener);
  }

  user(id: string): UserRef {
    let ref = this._refs.get(checkId(id))?.deref();
    if (!ref) {
      ref = new Ref(id, this);
      this._refs.set(id, new WeakRef(ref));
      this._forgotten.register(ref, id);
    }
    return ref;
  }

  users(ids: Iterable<string>): UserRefs {
    return new Refs(Object.freeze(Array.from(ids, checkId)), this);
  }

  seed(users: Iterable<readonly [string, UserSnapshot | null]>): void {
    const watches = this._open();
    for (const [id, user] of users) watches._seed(checkId(id), user);
  }

  async app(): Promise<App> {
    this._open();
    const { _isOpen, _sockets } = this._main;
    // Until it has come, it may come over the next socket.
    if (!this._app || (this._appOf && !(_isOpen && this._appOf === _sockets))) {
      this._appOf = 0;
      this._app = this._readApp();
    }
    return this._app;
  }

  setToken(token: string): void {
    this._open();
    const subject = subjectOf(readClaims(token));
    if (this._holders && subject !== undefined && this._userId !== undefined && subject !== this._userId) {
      throw new InvalidInput("This session is shared by those who act for one user, and this is another user's token.");
    }
    this._tokens._set(token);
  }

  reconnect(): void {
    this._open();
    this._each((connection) => connection._reopen());
  }

  [ASYNC_DISPOSE](): Promise<void> {
    return this.close();
  }

  async close(): Promise<void> {
    if (--this._holders > 0 || this._main._closed) return;
    this._onClose();
    this._listen(false);
    const error = new SessionClosed('The session is closed.');
    this._watches._endAll(error, false);
    this._each((connection) => connection._abandon(error, true));
    for (const timer of this._watches._timers) clearTimeout(timer);
  }

  get _main(): Connection {
    return this._watches._connections[0]!;
  }

  _each(call: (connection: Connection) => void): void {
    for (const connection of this._watches._connections) call(connection);
  }

  /** Returns the watches. Throws `SessionClosed`. */
  _open(): Watches {
    if (this._main._closed) throw this._main._closed;
    return this._watches;
  }

  /** Returns a field of the answer to a query or a mutation; asked again on the next socket if one is lost, in time. */
  _request<T>(document: string, field: string, variables: object): Promise<T> {
    return new Promise((resolve, reject) => {
      const connection = this._main;
      const fail = (error: UserlineError = new ProtocolError('The gateway has not answered what was asked.')): void => {
        clearTimeout(timer);
        reject(error);
      };
      const operation: Operation = {
        _payload: encode(document, variables),
        _isRequest: true,
        _take: ({ [field]: result }) => {
          clearTimeout(timer);
          if (result) resolve(result as T);
          else fail();
        },
        _fail: fail,
      };
      const timer = setTimeout(() => {
        connection._stop(operation);
        fail(this._outOfTime());
      }, this._timeout);
      connection._start(operation);
    });
  }

  async _readApp(): Promise<App> {
    interface Told {
      id: string;
      defaultLocale: string;
      roles: { name: string; settings: Record<string, unknown> }[];
    }
    try {
      const { id, defaultLocale, roles } = await this._request<Told>(APP, 'app', {});
      this._appOf = this._main._sockets;
      const byName = Object.fromEntries(roles.map(({ name, settings }) => [name, Object.freeze(settings)]));
      return Object.freeze({ id, defaultLocale, roles: Object.freeze(byName) });
    } catch (error) {
      this._app = undefined;
      throw error;
    }
  }

  _outOfTime(): ConnectionTimeout {
    const { _isOpen, _problem } = this._main;
    return _isOpen
      ? new ConnectionTimeout('The gateway did not answer in time.')
      : new Disconnected(_problem || 'There was no connection in time.');
  }

  /** Looks at once when there is reason to think that the network is back, where the platform tells. */
  _listen(isBeginning: boolean): void {
    const { document } = globalThis;
    for (const [target, type] of [
      [globalThis, 'online'],
      [globalThis, 'pageshow'],
      [document, 'visibilitychange'],
    ] as [EventTarget | undefined, string][]) {
      target?.[isBeginning ? 'addEventListener' : 'removeEventListener']?.(type, this._onWake);
    }
  }

  _onWake = ({ type }: Event): void => {
    if (type !== 'visibilitychange' || !document.hidden) this._each((connection) => connection._wake(type === 'online'));
  };
}
