import { ConnectionRefused, ProtocolError, type UserlineError } from './errors.js';

/** What the end of a socket means. */
export interface Judged {
  /** A sentence for errors. */
  readonly _problem: string;
  /** In how many milliseconds the gateway wants this client back. */
  readonly _hint?: number | undefined;
  /** The gateway takes no connection for now. */
  readonly _refusal?: ConnectionRefused | undefined;
  /** Coming back would not help. */
  readonly _fatal?: UserlineError | undefined;
  /** Come back with another token. */
  readonly _tokenCode?: number | undefined;
}

/** Judges how a socket has ended. Only some platforms tell of a status or a certificate, in the error before. */
export function judge(code: number, reason: string, message: string | undefined, cause: unknown, hasBeenOpen: boolean): Judged {
  if (code === 4403 || code === 4410) return { _problem: reason, _tokenCode: code };
  const problem = `it was closed (${code}${reason && ': '}${reason})`;
  // The client sent what it must not, and would again.
  if ([1008, 1009, 4400, 4401, 4406, 4409, 4429].includes(code)) {
    return { _problem: problem, _fatal: new ProtocolError(`The gateway ended the connection: ${problem}.`, code) };
  }
  const status = Number(/response: (\d+)/.exec(message ?? '')?.[1]);
  if (status && ![408, 425, 429, 500, 502, 503, 504].includes(status)) {
    return { _problem: problem, _fatal: new ProtocolError(`The gateway answered with HTTP status ${status}.`) };
  }
  if (!hasBeenOpen && /CERT|VERIFY|ALTNAME/.test(String(cause))) {
    return { _problem: problem, _fatal: new ProtocolError(`The gateway's certificate is not trusted: ${String(message)}.`) };
  }
  const hint = /retry after (\d{1,3}(?:\.\d{1,3})?) s/.exec(reason);
  return {
    _problem: problem,
    _hint: hint ? Number(hint[1]) * 1000 : undefined,
    _refusal: [1013, 4430, 4431, 4503].includes(code)
      ? new ConnectionRefused(`The gateway takes no connection: ${problem}.`, code)
      : undefined,
  };
}
