import { Batch, split } from './batch.js';
import type { Expiry } from './clock.js';
import { Connection } from './connection.js';
import { TooManyWatches, type UserlineError } from './errors.js';
import type { LiveSubscription } from './subscription.js';
import type { Surroundings } from './surroundings.js';
import type { Watch } from './watch.js';
import type { Watches } from './watches.js';

/** With more operations than that on a socket, those of at most so many users are put together. */
const MAX_BATCHES = 64;
const SMALL = 500;
/** How many sockets a session may have. */
const MAX_SOCKETS = 32;

export type AnySubscription = LiveSubscription<never>;

/** Whether somebody uses a watch now. */
export const isHeld = (watch: Watch): boolean => watch._subscriptions.length > 0;

/** Which operations there are, and over which sockets they travel. */
export abstract class Placing {
  readonly _around: Surroundings;
  /** One, and more when that is full. */
  readonly _connections: Connection[];
  /** Who waits for a place in a batch. */
  readonly _queue = new Set<Watch>();
  readonly _toReview = new Set<Batch>();
  _isScheduled = false;
  abstract readonly _lingering: Expiry<Watch>;
  abstract readonly _pending: Expiry<AnySubscription>;

  constructor(around: Surroundings) {
    this._around = around;
    this._connections = [this._connection()];
  }

  abstract _forget(watch: Watch): void;
  abstract _end(watch: Watch, reason: UserlineError, isError: boolean): void;

  _connection(): Connection {
    return new Connection(this as unknown as Watches, this._around);
  }

  /** Whether a connection has a reason to be, beside requests. */
  _isNeeded(connection: Connection): boolean {
    for (const batch of connection._batches) for (const watch of batch._members.values()) if (isHeld(watch)) return true;
    if (connection === this._connections.find((other) => !other._isOpen)) for (const watch of this._queue) if (isHeld(watch)) return true;
    return false;
  }

  /** Watches again who is wanted. */
  _again(watch: Watch): void {
    if (this._isWanted(watch)) this._enqueue(watch);
    else this._forget(watch);
  }

  _isWanted(watch: Watch): boolean {
    return isHeld(watch) || this._lingering._due.has(watch);
  }

  /** Gives the gateway its time to answer. */
  _expect(watch: Watch): void {
    for (const subscription of watch._subscriptions) {
      if (!subscription._revision && !this._pending._due.has(subscription)) this._pending._add(subscription);
    }
  }

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
    if (!next && this._connections.length < MAX_SOCKETS) this._connections.push((next = this._connection()));
    if (next) next._need();
    else for (const watch of this._queue) this._end(watch, new TooManyWatches('More is watched than the sockets of a session may carry.'), true);
  }

  /** Begins as much as there is room for on a socket. */
  _fill(connection: Connection): void {
    const { _limits, _batches } = connection;
    const start = (watches: Watch[]): void => {
      if (_batches.size >= _limits.subscriptions) return;
      const batch = new Batch(watches, connection, this as unknown as Watches);
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
