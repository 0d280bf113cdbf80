import { readClaims, subjectOf } from './claims.js';
import { pauseAfter, type Timer } from './clock.js';
import { invalid } from './failures.js';

/** Returns whose token it is, if it is a user's. Throws `InvalidInput` if it is not that of the owner, if there is one. */
export function ownerOf(token: string | undefined, owner?: string): string | undefined {
  const subject = subjectOf(readClaims(token));
  if (owner !== undefined && subject !== undefined && owner !== subject) throw invalid('The token is that of another user.');
  return subject;
}

/** Timers that would last for longer go off at once. */
const MAX_PAUSE = 2 ** 31 - 1;

/** The current token, and where the next one comes from. */
export interface Tokens {
  readonly _onNeed: (() => string | Promise<string>) | undefined;
  _current: string | undefined;
  /** Whose it is, if it is a user's. */
  _subject: string | undefined;
  /** Whose sockets those are that it opens. */
  _owner: string;
  /** Whether the gateway does not take the current one. */
  _isRejected: boolean;
  _set(token: string): void;
  /** Whether the current one has to be replaced before the next connection. */
  _isNeeded(): boolean;
  /** Asks for a new token, together with all who ask, unless one is set meanwhile. */
  _ask(): Promise<void>;
  /** Sees to it that the token is renewed in time, if there is a socket that uses it. */
  _plan(): void;
}

export function makeTokens(onNeed: Tokens['_onNeed'], isUsed: () => boolean, onChange: () => void): Tokens {
  let asking: Promise<void> | undefined;
  let answer: (() => void) | undefined;
  let failures = 0;
  let timer: Timer | undefined;
  let expiry: unknown;
  const left = (): number => (typeof expiry === 'number' ? expiry * 1000 - Date.now() : Infinity);
  const askIn = (pause: number): void => {
    clearTimeout(timer);
    if (!onNeed || pause === Infinity || !isUsed()) return;
    timer = setTimeout(
      () => (pause > MAX_PAUSE ? tokens._plan() : tokens._ask().catch(() => askIn(pauseAfter(++failures)))),
      Math.min(pause, MAX_PAUSE),
    );
  };
  const tokens: Tokens = {
    _onNeed: onNeed,
    _current: undefined,
    _subject: undefined,
    _owner: '',
    _isRejected: false,
    _set(token) {
      if (typeof token !== 'string' || !/^[ -~]+$/.test(token)) {
        throw invalid('A token is a string of printable ASCII characters, not an empty one.');
      }
      const claims = readClaims(token);
      tokens._current = token;
      tokens._subject = subjectOf(claims);
      tokens._owner = `${claims.tokenType as string} ${claims.sub as string}`;
      tokens._isRejected = false;
      expiry = claims.exp;
      failures = 0;
      answer?.();
      asking = answer = undefined;
      tokens._plan();
      onChange();
    },
    _isNeeded: () => !!onNeed && (!tokens._current || tokens._isRejected || left() <= 0),
    _ask: () =>
      (asking ??= new Promise((resolve, reject) => {
        answer = resolve;
        const isAwaited = (): boolean => answer === resolve;
        Promise.resolve()
          .then(onNeed)
          .then((token) => isAwaited() && tokens._set(token!))
          .catch((error: unknown) => {
            if (!isAwaited()) return;
            asking = answer = undefined;
            console.warn('onNeedToken has failed, and is called again in a while', error);
            reject(error);
          });
      })),
    _plan() {
      // 30 s before its end, or when four fifths of what is left are over. One that is over by this clock may be good by
      // the gateway's, which says when it is over.
      const rest = left();
      askIn(rest > 0 ? Math.max(rest - Math.min(30_000, rest / 5), 200) : Infinity);
    },
  };
  return tokens;
}
