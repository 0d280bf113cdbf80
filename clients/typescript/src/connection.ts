import { isNeeded, lost } from './batches.js';
import { now, pauseAfter, type Timer } from './clock.js';
import { ended, type SocketEvent } from './closing.js';
import type { Core } from './core.js';
import type { UserlineError } from './errors.js';
import { misunderstood } from './failures.js';
import { tick } from './liveness.js';
import { receive, send, sendOperation, withToken } from './messages.js';
import { HANDSHAKE } from './numbers.js';
import { NO_TOKEN } from './tokens.js';
import type { SessionStatus, WebSocketConstructor, WebSocketLike } from './types.js';
import type { Watch } from './watch.js';
import { failAll } from './watches.js';

/** What travels over a socket. */
export interface Operation {
  /** The id that it has on the wire, never used again. */
  _key?: string;
  /** The payload of its `subscribe` message, encoded. */
  readonly _payload: string;
  /** The watches that it keeps up to date, by their ids; what has none is a request, with one result. */
  readonly _members?: Map<string, Watch>;
  /** Takes a result, its only field, and its errors if it has holes. What it throws ends the operation as `_fail` does. */
  _take(told: unknown, errors?: { path?: unknown[] }[]): void;
  /** Takes that the gateway has ended it, perhaps with the reason. */
  _fail(error: UserlineError | undefined): void;
}

/** What the gateway lets one socket do. */
export interface Limits {
  readonly messageBytes: number;
  readonly subscriptions: number;
  readonly watchedUsers: number;
}

/** One socket at a time, opened when there is something to do, and again whenever it is lost. */
export interface Connection {
  readonly _core: Core;
  /** Those under way by their keys, in the order in which they were begun. */
  readonly _operations: Map<string, Operation>;
  _lastKey: number;
  /** Those of the socket, as long as it is open. */
  _limits?: Limits | undefined;
  /** Whether a socket was ever open. */
  _wasOpen?: boolean;
  /** Why there is no connection, if there is none. */
  _problem?: string;
  _status: SessionStatus;
  /** Those who hear of the status. */
  readonly _listeners: Set<(status: SessionStatus) => void>;
  _socket?: WebSocketLike | undefined;
  /** Of a pause, or of a handshake. */
  _timer?: Timer;
  _ticker?: Timer | undefined;
  _isPausing?: boolean;
  _isStreaming?: boolean;
  /** Counts attempts, so that what comes late of one is not taken for the next one's. */
  _attempt: number;
  _failures: number;
  _refusals: number;
  /** The token that the gateway was shown last, and whose the socket is. */
  _shown?: string | undefined;
  _owner?: string | undefined;
  // Ticks since something came, and at which tick the socket is given up: ticks and not seconds, because who was
  // blocked for a while finds what has come meanwhile only afterwards.
  _quiet: number;
  _deadline: number;
  // When it was looked last, by how much the wall clock was ahead then, and when there was something to do.
  _lookedAt: number;
  _ahead: number;
  _neededAt: number;
}

/** Makes one that has nothing to do. What it lacks is there when there is something, or a socket. */
export const makeConnection = (core: Core): Connection =>
  ({
    _core: core,
    _operations: new Map(),
    _lastKey: 0,
    _status: 'idle',
    _listeners: new Set(),
    _attempt: 0,
    _failures: 0,
    _refusals: 0,
  }) as Partial<Connection> as Connection;

/** Runs an operation, now or when there is a socket. */
export const start = (connection: Connection, operation: Operation): void => {
  connection._operations.set((operation._key = String(++connection._lastKey)), operation);
  connection._neededAt = now();
  need(connection);
  sendOperation(connection, operation);
};

/** Ends an operation, and tells the gateway; nothing happens if it is over. */
export const stop = (connection: Connection, { _key: id }: Operation): void => {
  if (connection._operations.delete(id!)) send(connection, { id, type: 'complete' });
};

/** Notes that there is something to do: opens a socket if there is none. */
export const need = (connection: Connection): void => {
  if (connection._ticker) return;
  tick(connection);
  setStatus(connection, 'connecting');
  // Who hears of it may close the session.
  if (connection._ticker) pause(connection);
};

/** Closes the socket, and opens another one if that is needed. */
export const reopen = (connection: Connection): void => {
  connection._failures = 0;
  if (connection._socket) {
    detach(connection);
    pause(connection);
  } else hurry(connection);
};

/** Shows the gateway the token that was just set. */
export const useToken = (connection: Connection): void => {
  const { _current, _owner } = connection._core._tokens;
  if (connection._status === 'failed') rest(connection, 'idle');
  hurry(connection);
  if (!connection._limits || _current === connection._shown) return;
  // A socket keeps its owner.
  if (connection._owner === _owner) send(connection, withToken(connection, 'ping'));
  else reopen(connection);
};

/** Ends an operation of which the gateway knows nothing. */
export const drop = (connection: Connection, operation: Operation, error: UserlineError): void => {
  connection._operations.delete(operation._key!);
  operation._fail(error);
};

export const setStatus = (connection: Connection, status: SessionStatus): void => {
  if (connection._status === status) return;
  connection._status = status;
  for (const tell of [...connection._listeners]) tell(status);
};

/** Has no socket and makes none. */
export const rest = (connection: Connection, status: SessionStatus): void => {
  detach(connection);
  clearTimeout(connection._ticker);
  connection._ticker = undefined;
  connection._isPausing = false;
  connection._attempt++;
  setStatus(connection, status);
};

/** Makes a socket after so many milliseconds, or as soon as `hurry` is called. */
export const pause = (connection: Connection, milliseconds = pauseAfter(connection._failures)): void => {
  const attempt = ++connection._attempt;
  connection._isPausing = true;
  if (milliseconds) connection._timer = setTimeout(() => connect(connection), milliseconds);
  // Who hears of it may do anything: connect at once, say, or close the session.
  if (connection._status !== 'connecting') setStatus(connection, 'reconnecting');
  if (!milliseconds && connection._attempt === attempt) void connect(connection);
};

export const hurry = (connection: Connection): void => {
  if (connection._isPausing) void connect(connection);
};

const connect = async (connection: Connection): Promise<void> => {
  const core = connection._core;
  clearTimeout(connection._timer);
  if (!isNeeded(connection)) return rest(connection, 'idle');
  const attempt = ++connection._attempt;
  const failures = connection._failures++;
  connection._isPausing = false;
  // Some networks let no sockets through: where none was ever open, every second attempt is one without.
  if (!connection._wasOpen) connection._isStreaming = !core._WebSocket || (core._mayStream && failures > 1 && failures % 2 < 1);
  try {
    if (core._tokens._isNeeded()) {
      connection._problem ||= NO_TOKEN;
      await core._tokens._ask();
    }
    const Socket = connection._isStreaming ? (await import('./stream.js')).StreamSocket : core._WebSocket!;
    if (connection._attempt === attempt) open(connection, Socket);
  } catch {
    if (connection._attempt === attempt) ended(connection, 0, NO_TOKEN);
  }
};

const open = (connection: Connection, Socket: WebSocketConstructor): void => {
  let socket: WebSocketLike;
  try {
    connection._socket = socket = new Socket(connection._core._url, 'graphql-transport-ws');
  } catch (error) {
    return fail(connection, String(error));
  }
  connection._owner = connection._core._tokens._owner;
  let trouble: SocketEvent = {};
  const ifCurrent = (handler: (event: SocketEvent) => void) => (event: SocketEvent) => {
    if (connection._socket === socket) handler(event);
  };
  socket.onopen = ifCurrent(() => {
    if (socket.protocol) socket.send(JSON.stringify(withToken(connection, 'connection_init')));
    else fail(connection, 'No gateway is at this URL.');
  });
  socket.onmessage = ifCurrent(({ data }) => receive(connection, data));
  socket.onerror = ifCurrent((event) => (trouble = event));
  socket.onclose = ifCurrent(({ code = 1006, reason = '' }) => ended(connection, code, reason, trouble));
  connection._timer = setTimeout(() => giveUp(connection), HANDSHAKE);
};

/** Forgets the socket, and closes it. */
export const detach = (connection: Connection): void => {
  const { _socket } = connection;
  clearTimeout(connection._timer);
  connection._socket = undefined;
  connection._limits = undefined;
  _socket?.close(1000);
  lost(connection);
};

/** Takes it that nobody is at the other end. */
export const giveUp = (connection: Connection): void => {
  const socket = connection._socket as { terminate?: () => void } | undefined;
  detach(connection);
  socket?.terminate?.(); // where there is such a thing; otherwise it would wait for an answer
  ended(connection, 0, 'nothing has come');
};

export const fail = (connection: Connection, message: string, code?: number): void => {
  failAll(connection._core, misunderstood(message, code));
};
