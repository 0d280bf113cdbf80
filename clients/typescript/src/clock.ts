/** Milliseconds that never go back. */
export const now = (): number => performance.now();

export type Timer = ReturnType<typeof setTimeout>;

/** Keys that each stay for the same time, with one timer for all of them. */
export class Expiry<K> {
  readonly _due = new Map<K, number>(); // in the order in which they are due
  readonly _milliseconds: number;
  readonly _expired: (key: K) => void;
  _timer: Timer | undefined;

  constructor(milliseconds: number, expired: (key: K) => void) {
    this._milliseconds = milliseconds;
    this._expired = expired;
  }

  _add(key: K): void {
    this._due.delete(key);
    this._due.set(key, now() + this._milliseconds);
    this._schedule();
  }

  _discard(key: K): void {
    this._due.delete(key);
    if (!this._due.size) this._schedule();
  }

  /** There is a timer while there is a key; it goes off when the first key was due, or earlier. */
  _schedule(): void {
    if (!this._due.size) {
      clearTimeout(this._timer);
      this._timer = undefined;
    }
    for (const due of this._due.values()) {
      this._timer ??= setTimeout(() => {
        const time = now();
        this._timer = undefined;
        for (const [key, until] of this._due) {
          if (until > time) break;
          this._due.delete(key);
          this._expired(key);
        }
        this._schedule();
      }, due - now());
      break;
    }
  }
}

/** How long to wait after so many failures in a row: full jitter, 0.5 s at most after the first, 10 s after many. */
export const pauseAfter = (failures: number): number =>
  failures && Math.random() * Math.min(10_000, 250 * 2 ** Math.min(failures, 9));

/** Calls what others gave; what it throws, or a promise of it rejects with, is logged and breaks nothing of ours. */
export function callBack<A extends unknown[]>(callback: ((...args: A) => unknown) | undefined, ...args: A): void {
  const log = (error: unknown): void => console.error('A callback has thrown', error);
  try {
    (callback?.(...args) as Promise<unknown> | undefined)?.catch?.(log);
  } catch (error) {
    log(error);
  }
}
