import { callBack, type Timer } from './clock.js';
import { UserlineError } from './errors.js';
import { invalid } from './failures.js';
import { isSame } from './snapshot.js';
import type { ActiveState, ErrorState, SubscribeOptions, SubscriptionState, UnsubscribedState } from './types.js';
import type { Watch } from './watch.js';

type LastState = UnsubscribedState | ErrorState;

const UNSUBSCRIBED: UnsubscribedState = /* @__PURE__ */ Object.freeze({ type: 'unsubscribed' });

/** A subscription of the session: see `Subscription` in types.ts. Its promises are made when somebody asks for them. */
export class LiveSubscription<T> {
  readonly _listener: ((value: T) => void) | undefined;
  state: SubscriptionState<T> = Object.freeze({ type: 'pending' });
  _first: ActiveState<T> | undefined;
  /** Why it has ended. */
  _reason: UserlineError | undefined;
  _latest: T | undefined;
  _revision = 0;
  /** Whether it is one of `get()`, which shows what is up to date alone. */
  _isGet = false;
  _watch: Watch | undefined;
  /** Until when the gateway has to answer. */
  _timer: Timer | undefined;
  _connected: Promise<ActiveState<T>> | undefined;
  _terminated: Promise<LastState> | undefined;
  _next: Promise<void> | undefined;
  _changed: (() => void) | undefined;
  /** Takes it from where it gets its snapshots; called once, when it has ended. */
  _leave: ((subscription: LiveSubscription<T>) => void) | undefined;
  _signal: AbortSignal | undefined;

  constructor(listener?: (value: T) => void) {
    if (listener && typeof listener !== 'function') throw invalid('A callback is a function.');
    this._listener = listener;
  }

  get connected(): Promise<ActiveState<T>> {
    if (!this._connected) {
      this._connected = this._whenConnected();
      this._connected.catch(() => {}); // nobody has to hear of it
    }
    return this._connected;
  }

  get terminated(): Promise<LastState> {
    return (this._terminated ??= this._whenTerminated());
  }

  async _whenConnected(): Promise<ActiveState<T>> {
    for await (const _ of this) break;
    if (!this._first) throw this._reason;
    return this._first;
  }

  async _whenTerminated(): Promise<LastState> {
    while (!this._reason) await this._change();
    return this.state as LastState;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    let revision = 0;
    let last: T | undefined;
    for (;;) {
      while (this._revision === revision) {
        if (this.state.type === 'error') throw this.state.error;
        if (this._reason) return;
        await this._change();
      }
      // Of what was missed in between, something may have come back to what it was.
      const isEqual = revision && isSame(last, this._latest);
      revision = this._revision;
      if (!isEqual) yield (last = this._latest!);
    }
  }

  unsubscribe(): void {
    this._end(new UserlineError('SUBSCRIPTION_ENDED', 'It was ended before the first snapshot.'), false);
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
    if (this._reason || (this._revision && value === this._latest)) return;
    this._latest = value;
    this._revision++;
    const state: ActiveState<T> = Object.freeze({ type: 'active', latestSnapshot: value });
    this.state = state;
    this._first ??= state;
    this._changed?.();
    void callBack(this._listener, value);
  }

  /** Ends it: as `error`, or else as `unsubscribe()` does, and then `reason` goes to those who wait for a snapshot. */
  _end(reason: UserlineError, isError: boolean): void {
    if (this._reason) return;
    this._reason = reason;
    this.state = isError ? Object.freeze({ type: 'error', error: reason }) : UNSUBSCRIBED;
    clearTimeout(this._timer);
    this._signal?.removeEventListener('abort', this);
    this._changed?.();
    this._leave?.(this);
  }

  /** Waits until it shows something else, or ends. */
  _change(): Promise<void> {
    return (this._next ??= new Promise((resolve) => {
      this._changed = () => {
        this._next = this._changed = undefined;
        resolve();
      };
    }));
  }
}
