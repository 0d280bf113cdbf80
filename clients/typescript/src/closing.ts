import type { Connection } from './connection.js';
import { ConnectionRefused, Unauthenticated } from './errors.js';

/** What this client uses of the events of a socket. */
export interface SocketEvent {
  data?: unknown;
  code?: number;
  reason?: string;
  message?: string;
  error?: { code?: unknown };
}

/** Close codes for what the client must not send, and would send again. */
const FAULTS = [1008, 1009, 4400, 4401, 4406, 4409, 4429];
/** Close codes of a gateway that takes no connection for now. */
const REFUSALS = [1013, 4430, 4431, 4503];
/** The HTTP statuses at the handshake that pass. */
const PASSING = [408, 425, 429, 500, 502, 503, 504];

/** Decides what to do after an attempt, or a socket: comes back, with another token if need be, or gives up. */
export function ended(connection: Connection, code: number, reason: string, { message, error }: SocketEvent = {}): void {
  const { _tokens } = connection._around;
  if (code === 4403 || code === 4410) {
    if (_tokens._current !== connection._shown) connection._failures = 0; // there is another one by now
    else {
      if (code === 4403) connection._refusals++;
      if (!_tokens._onNeed || connection._refusals > 1) {
        connection._refusals = 0;
        const why = reason.replace(/^Forbidden: /, '') || 'The token is not good.';
        return connection._watches._fatal(new Unauthenticated(why, { code: 'UNAUTHENTICATED' }));
      }
      _tokens._isRejected = true;
      if (connection._refusals) connection._failures = 0;
    }
    return connection._pause();
  }
  const problem = `The connection was lost: ${reason || code}`;
  // Only some platforms tell of a status or a certificate, in the error before.
  const status = Number(/response: (\d+)/.exec(message!)?.[1]);
  const isUntrusted = !connection._sockets && /CERT|VERIFY|ALTNAME/.test(error?.code as string);
  if (FAULTS.includes(code)) return connection._fail(problem, code);
  if (isUntrusted || (status && !PASSING.includes(status))) return connection._fail(message!);
  connection._problem = problem;
  const hint = /retry after (\d{1,3}(\.\d{1,3})?) s/.exec(reason);
  connection._hint = hint ? Number(hint[1]) * 1000 : undefined;
  // After a pause, also the first time: many may have lost their connections at the same moment.
  connection._failures ||= 1;
  if (REFUSALS.includes(code)) connection._watches._refused(new ConnectionRefused(problem, code));
  connection._pause();
}
