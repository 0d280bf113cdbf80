import { detach, fail, pause, type Connection } from './connection.js';
import { UserlineError } from './errors.js';
import { expect, failAll } from './watches.js';

/** What this client uses of the events of a socket. */
export interface SocketEvent {
  data?: unknown;
  code?: number;
  reason?: string;
  message?: string;
  error?: { code?: unknown };
}

/** Decides what to do after an attempt, or a socket, which it forgets: comes back, with another token if need be, or gives up. */
export const ended = (connection: Connection, code: number, reason: string, { message, error }: SocketEvent = {}): void => {
  const core = connection._core;
  detach(connection);
  const isRefused = code === 4403;
  if (isRefused || code === 4410) {
    const isKnown = core._tokens._current === connection._shown; // otherwise there is another one by now
    if (isKnown) {
      if (!core._tokens._onNeed || (isRefused && connection._refusals++)) {
        connection._refusals = 0;
        const why = reason.replace('Forbidden: ', '') || 'The token is not valid.';
        return failAll(core, new UserlineError('UNAUTHENTICATED', why, { extensions: {} }));
      }
      core._tokens._current = undefined;
    }
    if (isRefused || !isKnown) connection._failures = 0;
    return pause(connection);
  }
  const problem = (connection._problem = `The connection was lost: ${reason || code}`);
  const codes = String(code);
  // What the client must not send, and would send again.
  if (/100[89]|44(0[0169]|29)/.test(codes)) return fail(connection, problem, code);
  // Only some platforms tell of a certificate, or of a status at the handshake that does not pass, in the error before.
  const isUntrusted = !connection._wasOpen && /CERT|VERIFY|ALTNAME/.test(error?.code as string);
  if (isUntrusted || /response: (?!408|425|429|50[0234])\d/.test(message!)) return fail(connection, message!);
  // A gateway that takes no connection for now.
  if (/1013|443[01]|4503/.test(codes)) {
    for (const watch of core._queue) {
      watch._problem = new UserlineError('CONNECTION_REFUSED', problem, { closeCode: code });
      expect(watch);
    }
  }
  // After a pause, also the first time: many may have lost their connections at the same moment.
  connection._failures ||= 1;
  const hint = /retry after (\d{1,3}\.?\d*) s/.exec(reason);
  if (hint) pause(connection, +hint[1]! * 1000);
  else pause(connection);
};
