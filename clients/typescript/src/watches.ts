import { Batch, split } from './batch.js';
import { Expiry, now, pauseAfter, type Timer } from './clock.js';
import { Connection, type Surroundings } from './connection.js';
import { ConnectionTimeout, RateLimited, StoreUnavailable, TooManyWatches, type UserlineError } from './errors.js';
import { LiveSubscription, UNSUBSCRIBED, failed } from './subscription.js';
import type { UserSnapshot } from './types.js';
import { Watch } from './watch.js';

/** How long a user stays watched after the last use, and how many may that nobody uses now. */
const LINGER = 30_000;
const MAX_LINGERING = 2000;
/** Of how many users who are not watched it is remembered what was seen last, so that they do not go back. */
const MAX_IDLE = 1000;
/** With more operations than that on a socket, those of at most so many users are put together. */
const MAX_BATCHES = 64;
const SMALL = 500;
/** How many sockets a session may have. */
const MAX_SOCKETS = 32;

type AnySubscription = LiveSubscription<never>;

const isHeld = (watch: Watch): boolean => watch._subscriptions.length > 0;

/** What is watched: one watch for each user, however many subscriptions and gets there are to it; over which sockets. */
export class Watches {
  readonly _users = new Map<string, Watch>();
  readonly _online = new Map<string, Watch>();
  readonly _idle = new Set<Watch>();
  readonly _lingering = new Expiry<Watch>(LINGER, (watch) => this._letGoUnwanted(watch));
  /** Who waits for the gateway's answer. */
  readonly _pending: Expiry<AnySubscription>;
  /** One, and more when that is full. */
  readonly _connections: Connection[];
  /** Who waits for a place in a batch. */
  readonly _queue = new Set<Watch>();
  readonly _toReview = new Set<Batch>();
  /** Of those who rest before they are tried again. */
  readonly _timers = new Set<Timer>();
  _isScheduled = false;
  readonly _around: Surroundings;

  constructor(around: Surroundings) {
    this._around = around;
    this._connections = [new Connection(this, around)];
    this._pending = new Expiry(around._timeout, (subscription) => {
      const { _watch } = subscription;
      const error = _watch!._problem ?? (subscription._isGet ? around._outOfTime() : new ConnectionTimeout('The gateway has not told of the user in time.'));
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
    if (isHeld(watch)) return;
    if (watch._isOnline) this._letGoUnwanted(watch);
    else this._linger(watch);
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

  /** Whether a connection has a reason to be, beside requests. */
  _isNeeded(connection: Connection): boolean {
    for (const batch of connection._batches) for (const watch of batch._members.values()) if (isHeld(watch)) return true;
    if (connection === this._connections.find((other) => !other._isOpen)) for (const watch of this._queue) if (isHeld(watch)) return true;
    return false;
  }

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

  /** Watches again who is wanted. */
  _again(watch: Watch): void {
    if (this._isWanted(watch)) this._enqueue(watch);
    else this._forget(watch);
  }

  _isWanted(watch: Watch): boolean {
    return isHeld(watch) || this._lingering._due.has(watch);
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

  /** Gives the gateway its time to answer. */
  _expect(watch: Watch): void {
    for (const subscription of watch._subscriptions) {
      if (!subscription._revision && !this._pending._due.has(subscription)) this._pending._add(subscription);
    }
  }

  /** Lets subscriptions wait no more, or as long as it takes. A get has its time in any case. */
  _shown(watch: Watch): void {
    for (const subscription of watch._subscriptions) if (!subscription._isGet) this._pending._discard(subscription);
  }

  // Which operations there are

  /** Lets a watch begin at the end of this turn. */
  _enqueue(watch: Watch): void {
    this._queue.add(watch);
    this._schedule();
  }

  _schedule(): void {
    if (this._isScheduled) return;
    this._isScheduled = true;
    queueMicrotask(() => {
      this._isScheduled = false;
      this._place();
    });
  }

  _place(): void {
    for (const batch of this._toReview) {
      const wanted = [...batch._members.values()].filter((watch) => this._isWanted(watch)).length;
      if (wanted * 2 < batch._size) this._regroup(batch);
    }
    this._toReview.clear();
    for (const connection of this._connections) if (connection._isOpen) this._fill(connection);
    if (!this._queue.size) return;
    // There is no room: that of those whom nobody wants is taken first.
    let isFreed = false;
    for (const { _batches } of this._connections) {
      for (const batch of [..._batches]) {
        if ([...batch._members.values()].filter((watch) => this._isWanted(watch)).length < batch._size) {
          isFreed = true;
          this._regroup(batch);
        }
      }
    }
    if (isFreed) return this._place();
    let next = this._connections.find((connection) => !connection._isOpen);
    if (!next && this._connections.length < MAX_SOCKETS) this._connections.push((next = new Connection(this, this._around)));
    if (next) next._need();
    else for (const watch of this._queue) this._end(watch, new TooManyWatches(), true);
  }

  /** Begins as much as there is room for on a socket. */
  _fill(connection: Connection): void {
    const { _limits, _batches } = connection;
    const start = (watches: Watch[]): void => {
      if (_batches.size >= _limits.subscriptions) return;
      const batch = new Batch(watches, connection, this);
      _batches.add(batch);
      if (!batch._isOnline) connection._watched += batch._size;
      for (const watch of watches) {
        this._queue.delete(watch);
        this._expect(watch);
      }
      connection._start(batch);
    };
    if (!this._queue.size) return;
    if (_batches.size >= Math.min(MAX_BATCHES, _limits.subscriptions / 2)) {
      for (const batch of [..._batches]) if (!batch._isOnline && batch._size <= SMALL) this._regroup(batch);
    }
    const users: Watch[] = [];
    for (const watch of [...this._queue]) {
      if (watch._isOnline) start([watch]);
      else if (connection._watched + users.length < _limits.watchedUsers) users.push(watch);
    }
    for (const watches of split(users, _limits.messageBytes)) start(watches);
  }

  /** Ends an operation; who is wanted of it gets into another one. */
  _regroup(batch: Batch): void {
    for (const watch of this._endBatch(batch)) this._again(watch);
  }

  /** Ends an operation, and returns its watches. */
  _endBatch(batch: Batch): Watch[] {
    const watches = [...batch._members.values()];
    const { _connection } = batch;
    if (_connection._batches.delete(batch) && !batch._isOnline) _connection._watched -= batch._size;
    _connection._stop(batch);
    for (const watch of watches) batch._release(watch);
    return watches;
  }
}
