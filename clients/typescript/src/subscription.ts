import { callBack } from './clock.js';
import { InvalidInput, SubscriptionEnded, type UserlineError } from './errors.js';
import type { ActiveState, ErrorState, SubscribeOptions, SubscriptionState, UnsubscribedState } from './types.js';
import type { Watch } from './watch.js';

type LastState = UnsubscribedState | ErrorState;

const PENDING = Object.freeze({ type: 'pending' });
export const UNSUBSCRIBED: UnsubscribedState = Object.freeze({ type: 'unsubscribed' });
export const failed = (error: UserlineError): ErrorState => Object.freeze({ type: 'error', error });

/** Something that is waited for: a promise with its two ends, of which nobody has to hear. */
class Outcome<T> {
  _resolve!: (value: T) => void;
  _reject!: (error: unknown) => void;
  readonly _promise = new Promise<T>((resolve, reject) => {
    this._resolve = resolve;
    this._reject = reject;
  });

  constructor() {
    this._promise.catch(() => {});
  }
}

/** A subscription of the session: see `Subscription` in types.ts. Its promises are made when somebody asks for them. */
export class LiveSubscription<T> {
  readonly _listener: ((value: T) => void) | undefined;
  readonly _isSame: ((a: T, b: T) => boolean) | undefined;
  state: SubscriptionState<T> = PENDING as { type: 'pending' };
  _first: ActiveState<T> | undefined;
  /** What `connected` rejects with, when it has ended. */
  _reason: UserlineError | undefined;
  _latest: T | undefined;
  _revision = 0;
  /** Whether it is one of `get()`, which shows what is up to date alone. */
  _isGet = false;
  _watch: Watch | undefined;
  _connected: Outcome<ActiveState<T>> | undefined;
  _terminated: Outcome<LastState> | undefined;
  _changed: Outcome<void> | undefined;
  /** Takes it from where it gets its snapshots; called once, when it is unsubscribed. */
  _leave: ((subscription: LiveSubscription<T>) => void) | undefined;
  _onEnd: (() => void) | undefined;
  _signal: AbortSignal | undefined;
  _onAbort: (() => void) | undefined;

  constructor(listener?: (value: T) => void, options?: SubscribeOptions, isSame?: (a: T, b: T) => boolean) {
    if (listener && typeof listener !== 'function') throw new InvalidInput('What is called back is a function.');
    this._listener = listener;
    this._isSame = isSame;
    this._signal = options?.signal;
    this._signal?.addEventListener('abort', (this._onAbort = () => this.unsubscribe()));
  }

  get connected(): Promise<ActiveState<T>> {
    if (!this._connected) {
      this._connected = new Outcome();
      if (this._first) this._connected._resolve(this._first);
      else if (this._reason) this._connected._reject(this._reason);
    }
    return this._connected._promise;
  }

  get terminated(): Promise<LastState> {
    if (!this._terminated) {
      this._terminated = new Outcome();
      if (this._reason) this._terminated._resolve(this.state as LastState);
    }
    return this._terminated._promise;
  }

  unsubscribe(): void {
    if (this._reason) return;
    this._end(UNSUBSCRIBED, new SubscriptionEnded('The subscription was ended before it had a snapshot.'));
    this._leave?.(this);
  }

  /** Unsubscribes what was given an aborted signal, once it has a place to leave. */
  _begun(): this {
    if (this._signal?.aborted) this.unsubscribe();
    return this;
  }

  _show(value: T): void {
    if (this._reason || (this._revision && value === this._latest)) return;
    this._latest = value;
    this._revision++;
    const state: ActiveState<T> = Object.freeze({ type: 'active', latestSnapshot: value });
    this.state = state;
    this._first ??= state;
    this._connected?._resolve(this._first);
    this._wake();
    callBack(this._listener, value);
  }

  _end(state: LastState, reason: UserlineError): void {
    if (this._reason) return;
    this.state = state;
    this._reason = reason;
    this._connected?._reject(reason);
    this._terminated?._resolve(state);
    this._signal?.removeEventListener('abort', this._onAbort!);
    this._wake();
    this._onEnd?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    let revision = 0;
    let last: T | undefined;
    for (;;) {
      while (this._revision === revision) {
        if (this.state.type === 'error') throw this.state.error;
        if (this._reason) return;
        await (this._changed ??= new Outcome())._promise;
      }
      // Of what was missed in between, something may have come back to what it was.
      const isEqual = revision && this._isSame?.(last!, this._latest!);
      revision = this._revision;
      if (!isEqual) yield (last = this._latest!);
    }
  }

  _wake(): void {
    this._changed?._resolve();
    this._changed = undefined;
  }
}
