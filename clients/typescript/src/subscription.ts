import { callBack, type Timer } from './clock.js';
import { UserlineError } from './errors.js';
import { invalid } from './failures.js';
import { isSame } from './snapshot.js';
import type { ActiveState, ErrorState, SubscribeOptions, SubscriptionState, UnsubscribedState } from './types.js';
import type { Watch } from './watch.js';

type LastState = UnsubscribedState | ErrorState;

/** A subscription of the session: see `Subscription` in types.ts. Its promises are made when somebody asks for them. */
export class LiveSubscription<T> {
  state: SubscriptionState<T> = Object.freeze({ type: 'pending' });
  declare readonly _listener: ((value: T) => void) | undefined;
  declare _first?: ActiveState<T>;
  /** What it has shown last; undefined: nothing yet. */
  declare _latest?: T;
  /** Why it has ended. */
  declare _reason?: UserlineError;
  /** Whether it is one of `get()`, which shows what is up to date alone. */
  declare _isGet?: boolean | undefined;
  declare _watch?: Watch;
  /** Until when the gateway has to answer. */
  declare _timer?: Timer | undefined;
  declare _connected?: Promise<ActiveState<T>>;
  declare _terminated?: Promise<LastState>;
  /** Fulfilled by `_changed` when it shows something else, or ends. */
  declare _change?: Promise<void> | undefined;
  declare _changed?: () => void;
  /** Takes it from where it gets its snapshots; called once, when it has ended. */
  declare _leave?: (subscription: LiveSubscription<T>) => void;
  declare _signal?: AbortSignal | undefined;

  constructor(listener?: (value: T) => void) {
    if (listener && typeof listener !== 'function') throw invalid('A callback is a function.');
    this._listener = listener;
  }

  get connected(): Promise<ActiveState<T>> {
    const connected = (this._connected ??= (async () => {
      while (!this._first) {
        if (this._reason) throw this._reason;
        await this._next();
      }
      return this._first;
    })());
    connected.catch(() => {}); // nobody has to hear of it
    return connected;
  }

  get terminated(): Promise<LastState> {
    return (this._terminated ??= (async () => {
      while (!this._reason) await this._next();
      return this.state as LastState;
    })());
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    let last: T | undefined;
    for (;;) {
      // Of what was missed in between, something may have come back to what it was.
      if (!isSame(last, this._latest)) yield (last = this._latest!);
      else if (this.state.type === 'error') throw this.state.error;
      else if (this._reason) return;
      else await this._next();
    }
  }

  unsubscribe(): void {
    this._end(new UserlineError('SUBSCRIPTION_ENDED', 'It was unsubscribed.'), false);
  }

  /** The signal was aborted. */
  handleEvent(): void {
    this.unsubscribe();
  }

  /** Listens to a signal, now that it has a place to leave: what could not begin has no listener to take away. */
  _begun({ signal }: SubscribeOptions = {}): this {
    this._signal = signal;
    signal?.addEventListener('abort', this);
    if (signal?.aborted) this.unsubscribe();
    return this;
  }

  _show(value: T): void {
    if (this._reason || value === this._latest) return;
    this._latest = value;
    this._become({ type: 'active', latestSnapshot: value });
    this._first ??= this.state as ActiveState<T>;
    clearTimeout(this._timer);
    void callBack(this._listener, value);
  }

  /** Ends it: as `error`, or else as `unsubscribe()` does, and then `reason` goes to those who wait for a snapshot. */
  _end(reason: UserlineError, isError = true): void {
    if (this._reason) return;
    this._reason = reason;
    this._become(isError ? { type: 'error', error: reason } : { type: 'unsubscribed' });
    clearTimeout(this._timer);
    this._signal?.removeEventListener('abort', this);
    this._leave?.(this);
  }

  _become(state: SubscriptionState<T>): void {
    this.state = Object.freeze(state);
    this._change = undefined;
    this._changed?.();
  }

  /** Waits until it shows something else, or ends. */
  _next(): Promise<void> {
    return (this._change ??= new Promise((resolve) => (this._changed = resolve)));
  }
}
