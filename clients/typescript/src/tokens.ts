import { readClaims, subjectOf } from './claims.js';
import { pauseAfter } from './clock.js';
import { invalid } from './failures.js';

/** Returns whose session it is, if anybody says so. Throws `InvalidInput` if the token is that of another user. */
export const ownerOf = (token: string | undefined, owner?: string): string | undefined => {
  const subject = subjectOf(readClaims(token));
  if (owner && subject && owner !== subject) throw invalid('The token is that of another user.');
  return owner ?? subject;
};

export const NO_TOKEN = 'onNeedToken gave none';

/** The current token, and where the next one comes from. */
export interface Tokens {
  readonly _onNeed: (() => string | Promise<string>) | undefined;
  /** None, if there was none yet, or the gateway does not take it. */
  _current?: string | undefined;
  /** Whose it is, if it is a user's. */
  _subject?: string | undefined;
  /** Whose sockets those are that it opens. */
  _owner?: string;
  _set(token: string): void;
  /** Whether the current one has to be replaced before the next connection. */
  _isNeeded(): boolean;
  /** Asks for a new token, together with all who ask, unless one is set meanwhile. */
  _ask(): Promise<void>;
  /** Called now and then while there is a socket: renews the token in time. */
  _renew(): void;
}

export const makeTokens = (onNeed: Tokens['_onNeed'], onChange: () => void): Tokens => {
  let asking: Promise<void> | undefined;
  let answer: (() => void) | undefined;
  let failures = 0;
  let end = Infinity;
  let renewal = Infinity;
  const tokens: Tokens = {
    _onNeed: onNeed,
    _set(token) {
      if (typeof token !== 'string' || !/^[ -~]+$/.test(token)) throw invalid('A token is printable ASCII.');
      const claims = readClaims(token);
      tokens._current = token;
      tokens._subject = subjectOf(claims);
      tokens._owner = `${claims.tokenType as string} ${claims.sub as string}`;
      end = (claims.exp as number) * 1000 || Infinity;
      // 30 s before its end, or when half of what is left is over. One that is over by this clock may be good by the
      // gateway's, which says when it is over.
      const left = end - Date.now();
      renewal = left > 0 ? end - Math.min(30_000, left / 2) : Infinity;
      failures = 0;
      answer?.();
      asking = answer = undefined;
      onChange();
    },
    _isNeeded: () => !!onNeed && (!tokens._current || Date.now() >= end),
    _ask: () =>
      (asking ??= new Promise((resolve, reject) => {
        answer = resolve;
        Promise.resolve()
          .then(onNeed)
          .then((token) => answer === resolve && tokens._set(token!))
          .catch((error: unknown) => {
            if (answer !== resolve) return; // one was set meanwhile
            asking = answer = undefined;
            renewal = Date.now() + pauseAfter(++failures);
            console.warn(NO_TOKEN, error);
            reject(error);
          });
      })),
    _renew() {
      if (onNeed && Date.now() >= renewal) tokens._ask().catch(() => {});
    },
  };
  return tokens;
};
