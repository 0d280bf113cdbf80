import { place } from './batches.js';
import { now } from './clock.js';
import { drop, fail, setStatus, useToken, type Connection, type Limits, type Operation } from './connection.js';
import { bytesOf } from './documents.js';
import { UserlineError } from './errors.js';
import { NONSENSE, errorFrom, invalid, misunderstood } from './failures.js';

/** Takes a message of the gateway. */
export const receive = (connection: Connection, text: unknown): void => {
  let message: { type: string; id: string; payload?: unknown };
  connection._quiet = 0;
  connection._deadline = Infinity;
  try {
    message = JSON.parse(text as string);
    if (typeof message.type !== 'string') throw text;
  } catch {
    return fail(connection, NONSENSE);
  }
  const { type, id, payload } = message;
  const operation = connection._operations.get(id);
  if (type === 'ping') send(connection, { type: 'pong' });
  if (type === 'connection_ack' && !connection._limits) acknowledged(connection, payload as { limits?: Partial<Limits> });
  if (!operation || !/^(next|error|complete)$/.test(type)) return;
  const isLast = type !== 'next' || !operation._members;
  connection._failures = 0;
  if (isLast) connection._operations.delete(id);
  let problem: UserlineError | undefined;
  try {
    if (type === 'error') throw errorFrom(payload);
    if (type === 'next') {
      const { data, errors } = payload as { data: object | null; errors?: { path?: unknown[] }[] };
      if (!data || (isLast && errors?.length)) throw errorFrom(errors);
      return operation._take(Object.values(data)[0], errors);
    }
  } catch (error) {
    problem = error instanceof UserlineError ? error : misunderstood(`${NONSENSE}: ${error as string}`);
  }
  operation._fail(problem);
};

const acknowledged = (connection: Connection, payload: { limits?: Partial<Limits> } | null | undefined): void => {
  clearTimeout(connection._timer);
  // There are gateways that do not tell.
  connection._limits = { messageBytes: 65_536, subscriptions: 1000, watchedUsers: 5000, ...payload?.limits };
  connection._wasOpen = true;
  connection._refusals = 0;
  connection._problem = '';
  connection._neededAt = now();
  setStatus(connection, 'connected');
  useToken(connection);
  for (const operation of connection._operations.values()) sendOperation(connection, operation);
  place(connection._core);
};

/** Sends an operation; nothing happens before there is a socket. */
export const sendOperation = (connection: Connection, operation: Operation): void => {
  const { _limits, _socket } = connection;
  if (!_limits) return;
  const text = `{"id":"${operation._key}","type":"subscribe","payload":${operation._payload}}`;
  const { messageBytes } = _limits;
  if (bytesOf(text) > messageBytes) drop(connection, operation, invalid(`A message has at most ${messageBytes} bytes.`));
  else _socket!.send(text);
};

/** Returns a message with the current token, which the gateway has seen then. */
export const withToken = (connection: Connection, type: string): object => {
  const token = (connection._shown = connection._core._tokens._current);
  return { type, payload: token && { Authorization: `Bearer ${token}` } };
};

/** Sends a message; who has not been let in says nothing. */
export const send = (connection: Connection, message: object): void => {
  if (connection._limits) connection._socket!.send(JSON.stringify(message));
};
