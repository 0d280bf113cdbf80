import { Expiry, now, pauseAfter, type Timer } from './clock.js';
import type { Connection } from './connection.js';
import { ConnectionTimeout, RateLimited, StoreUnavailable, type UserlineError } from './errors.js';
import { Placing, isHeld, type AnySubscription } from './placing.js';
import { LiveSubscription, UNSUBSCRIBED, failed } from './subscription.js';
import type { Surroundings } from './surroundings.js';
import type { UserSnapshot } from './types.js';
import { Watch } from './watch.js';

/** How long a user stays watched after the last use, and how many may that nobody uses now. */
const LINGER = 30_000;
const MAX_LINGERING = 2000;
/** Of how many users who are not watched it is remembered what was seen last, so that they do not go back. */
const MAX_IDLE = 1000;
/** What is watched: one watch for each user, however many subscriptions and gets there are to it. */
export class Watches extends Placing {
  readonly _users = new Map<string, Watch>();
  readonly _online = new Map<string, Watch>();
  readonly _idle = new Set<Watch>();
  readonly _lingering = new Expiry<Watch>(LINGER, (watch) => this._letGoUnwanted(watch));
  /** Who waits for the gateway's answer. */
  readonly _pending: Expiry<AnySubscription>;
  /** Of those who rest before they are tried again. */
  readonly _timers = new Set<Timer>();

  constructor(around: Surroundings) {
    super(around);
    this._pending = new Expiry(around._timeout, (subscription) => {
      const { _watch } = subscription;
      const error = _watch!._problem ?? (subscription._isGet ? around._outOfTime() : new ConnectionTimeout('The gateway did not answer in time.'));
      subscription._end(failed(error), error);
      this._leave(subscription);
    });
  }

  _subscribe(id: string, isOnline: boolean, subscription: AnySubscription): void {
    const watch = this._use(id, isOnline);
    watch._subscriptions.push(subscription);
    subscription._watch = watch;
    subscription._leave = this._leave;
    if (watch._isFresh) queueMicrotask(() => watch._isFresh && subscription._show(watch._value as never));
    else if (watch._batch || watch._problem || subscription._isGet) this._pending._add(subscription);
  }

  _leave = (subscription: AnySubscription): void => {
    const watch = subscription._watch!;
    const index = watch._subscriptions.indexOf(subscription);
    this._pending._discard(subscription);
    if (index < 0) return;
    watch._subscriptions.splice(index, 1);
    if (!isHeld(watch)) this._linger(watch);
  };

  /** Returns a user as it is, when that is known. */
  async _get(id: string): Promise<UserSnapshot | null> {
    const watch = this._use(id, false);
    if (watch._isFresh) {
      if (!isHeld(watch)) this._linger(watch);
    } else {
      const subscription = new LiveSubscription<never>();
      subscription._isGet = true;
      this._subscribe(id, false, subscription);
      await subscription.connected;
      subscription.unsubscribe();
    }
    return watch._user!;
  }

  /** Returns the watch of a user, which may be an idle one. */
  _watchOf(id: string): Watch {
    let watch = this._users.get(id);
    if (!watch) {
      this._users.set(id, (watch = new Watch(id, false)));
      this._rest(watch);
    }
    return watch;
  }

  /** Shows what a write has changed; who reads waits if that is doubtful. */
  _written(watch: Watch, isDoubtful: boolean): void {
    if (watch._user !== undefined) this._shown(watch);
    watch._show();
    if (isDoubtful && watch._batch) this._askAgain(watch);
  }

  /** Ends all subscriptions: with an error, or else as `unsubscribe()` does, and then `reason` goes to who waits. */
  _endAll(reason: UserlineError, isError: boolean): void {
    for (const watch of [...this._users.values(), ...this._online.values()]) this._end(watch, reason, isError);
  }

  // What batches say

  _take(watch: Watch, told: unknown): void {
    if (watch._hear(told)) return this._askAgain(watch);
    watch._isFresh = true;
    watch._failures = 0;
    watch._problem = undefined;
    this._shown(watch);
    watch._show();
  }

  /** Tries watches again that the gateway does not watch now, or ends them. */
  _takeError(watches: Watch[], error: UserlineError | undefined): void {
    const isPassing = !error || error instanceof StoreUnavailable || error instanceof RateLimited;
    const seconds = error && isPassing ? (error as RateLimited).retryAfterSeconds : 0;
    let failures = 0;
    const resting = watches.filter((watch) => {
      if (!isPassing) this._end(watch, error, true);
      else if (!isHeld(watch)) this._forget(watch);
      else {
        failures = Math.max(failures, ++watch._failures);
        watch._problem = error ?? watch._problem;
        watch._isResting = true;
        this._expect(watch);
      }
      return watch._isResting;
    });
    if (!resting.length) return;
    const pause = seconds ? seconds * 1000 * (1 + Math.random() / 10) : pauseAfter(failures);
    const timer = setTimeout(() => {
      this._timers.delete(timer);
      for (const watch of resting) {
        watch._isResting = false;
        if (isHeld(watch)) this._enqueue(watch);
        else this._forget(watch);
      }
    }, pause);
    this._timers.add(timer);
  }

  // What connections say

  /** Keeps what somebody uses for another socket; lets go what only lingers. */
  _lost(connection: Connection): void {
    for (const batch of [...connection._batches]) {
      for (const watch of this._endBatch(batch)) {
        if (!isHeld(watch)) this._forget(watch);
        else {
          // The gateway is not to blame: it is waited as long as it takes.
          if (!watch._problem) this._shown(watch);
          this._enqueue(watch);
        }
      }
    }
  }

  _refused(refusal: UserlineError): void {
    for (const watch of this._queue) {
      watch._problem = refusal;
      this._expect(watch);
    }
  }

  _fatal(error: UserlineError): void {
    for (const connection of this._connections) connection._abandon(error, false);
    this._endAll(error, true);
    this._around._onFatal(error);
  }

  // Who uses a watch

  _use(id: string, isOnline: boolean): Watch {
    const watch = isOnline ? (this._online.get(id) ?? new Watch(id, true)) : this._watchOf(id);
    if (isOnline) this._online.set(id, watch);
    this._idle.delete(watch);
    this._lingering._discard(watch);
    if (!watch._batch && !watch._isResting) this._enqueue(watch);
    return watch;
  }

  _linger(watch: Watch): void {
    this._lingering._add(watch);
    if (watch._batch) watch._batch._connection._neededAt = now(); // that was a use of the socket, too
    if (this._lingering._due.size > MAX_LINGERING) {
      const oldest: Watch = this._lingering._due.keys().next().value!;
      this._lingering._discard(oldest);
      this._letGoUnwanted(oldest);
    }
  }

  /** As long as its batch goes on, it is kept up to date, and can be wanted again. */
  _letGoUnwanted(watch: Watch): void {
    if (!watch._batch) return this._forget(watch);
    this._toReview.add(watch._batch);
    this._schedule();
  }

  /** Takes a watch out of its batch. */
  _letGo(watch: Watch): void {
    const batch = watch._batch;
    if (!batch) return;
    batch._release(watch);
    this._toReview.add(batch);
    this._schedule();
  }

  _askAgain(watch: Watch): void {
    this._letGo(watch);
    this._again(watch);
  }

  _forget(watch: Watch): void {
    this._letGo(watch);
    this._queue.delete(watch);
    this._lingering._discard(watch);
    this._shown(watch);
    if (watch._isOnline) this._online.delete(watch._id);
    else this._rest(watch);
  }

  _rest(watch: Watch): void {
    this._idle.add(watch);
    if (this._idle.size <= MAX_IDLE) return;
    const [oldest] = this._idle as unknown as [Watch];
    this._idle.delete(oldest);
    this._users.delete(oldest._id);
  }

  _end(watch: Watch, reason: UserlineError, isError: boolean): void {
    const subscriptions = watch._subscriptions;
    this._forget(watch);
    watch._subscriptions = [];
    for (const subscription of subscriptions) {
      this._pending._discard(subscription);
      subscription._end(isError ? failed(reason) : UNSUBSCRIBED, reason);
    }
  }

  /** Lets subscriptions wait no more, or as long as it takes. A get has its time in any case. */
  _shown(watch: Watch): void {
    for (const subscription of watch._subscriptions) if (!subscription._isGet) this._pending._discard(subscription);
  }
}
