import { pauseAfter, type Timer } from './clock.js';
import { InvalidInput } from './errors.js';

/** What a token says of itself. It is read and not checked: that is the gateway's job. */
export interface Claims {
  tokenType?: unknown;
  sub?: unknown;
  exp?: unknown;
}

export function readClaims(token = ''): Claims {
  try {
    const bytes = atob(token.split('.')[1]!.replace(/-/g, '+').replace(/_/g, '/'));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(bytes, (c) => c.charCodeAt(0)))) ?? {};
  } catch {
    return {};
  }
}

/** Whose token it is, if it is a user's. */
export const subjectOf = ({ tokenType, sub }: Claims): string | undefined =>
  tokenType === 'user' && typeof sub === 'string' && sub ? sub : undefined;

type OnNeed = (() => string | Promise<string>) | undefined;

/** Holds the current token, and knows where the next one comes from. */
export class Tokens {
  readonly _onNeed: OnNeed;
  readonly _onChange: () => void;
  _current: string | undefined;
  _claims: Claims = {};
  /** Whose sockets those are that it opens. */
  _owner = '';
  /** Whether the gateway does not take the current one. */
  _isRejected = false;
  /** How many sockets are open, for which a token is renewed before it expires. */
  _sockets = 0;
  _asking: Promise<void> | undefined;
  _answer: (() => void) | undefined;
  _failures = 0;
  _timer: Timer | undefined;

  constructor(onNeed: OnNeed, onChange: () => void) {
    this._onNeed = onNeed;
    this._onChange = onChange;
  }

  _set(token: string): void {
    if (!/^[ -~]+$/.test(token) || typeof token !== 'string') {
      throw new InvalidInput('A token is a string of printable ASCII characters, not an empty one.');
    }
    this._current = token;
    this._claims = readClaims(token);
    this._owner = `${this._claims.tokenType as string} ${this._claims.sub as string}`;
    this._isRejected = false;
    this._failures = 0;
    this._answer?.();
    this._asking = this._answer = undefined;
    this._count(0);
    this._onChange();
  }

  /** Whether the current one has to be replaced before the next connection. */
  get _isNeeded(): boolean {
    return !!this._onNeed && (!this._current || this._isRejected || this._left <= 0);
  }

  /** Asks for a new token, together with all who ask, unless one is set meanwhile. */
  _ask(): Promise<void> {
    return (this._asking ??= new Promise((resolve, reject) => {
      this._answer = resolve;
      const isAwaited = () => this._answer === resolve;
      Promise.resolve()
        .then(this._onNeed)
        .then((token) => isAwaited() && this._set(token!))
        .catch((error: unknown) => {
          if (!isAwaited()) return;
          this._asking = this._answer = undefined;
          console.warn('onNeedToken has failed, and is called again in a while', error);
          reject(error);
        });
    }));
  }

  /** How many milliseconds the current token has left. */
  get _left(): number {
    const { exp } = this._claims;
    return typeof exp === 'number' ? exp * 1000 - Date.now() : Infinity;
  }

  /**
   * Notes that there is one socket more, or less. Sees to it that the token is renewed in time: 30 s before its end, or
   * when four fifths of what is left are over. One that is over by this clock may be good by the gateway's, which says
   * when it is over.
   */
  _count(difference: number): void {
    this._sockets += difference;
    const left = this._left;
    this._plan(left > 0 && left < Infinity ? Math.max(left - Math.min(30_000, left / 5), 200) : Infinity);
  }

  _plan(pause: number): void {
    clearTimeout(this._timer);
    if (!this._sockets || !this._onNeed || pause === Infinity) return;
    const most = 2 ** 31 - 1; // past that, timers go off at once
    this._timer = setTimeout(
      () => (pause > most ? this._count(0) : void this._ask().catch(() => this._plan(pauseAfter(++this._failures)))),
      Math.min(pause, most),
    );
  }
}
