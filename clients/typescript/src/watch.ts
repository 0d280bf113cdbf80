import type { Batch } from './batches.js';
import type { Core } from './core.js';
import type { UserlineError } from './errors.js';
import { isSame, readSnapshot } from './snapshot.js';
import type { LiveSubscription } from './subscription.js';
import type { UserOnline, UserSnapshot } from './types.js';
import type { User } from './user.js';

export type AnySubscription = LiveSubscription<unknown>;

/**
 * What a session has of one user, kept up to date by the events of the batch that it is in; with a `_home`: with whether
 * it is connected.
 *
 * Events come in their order, answers to writes at any moment beside them, and after a lost connection another gateway
 * may be a little behind. Versions put snapshots in order. That there is no user (null) has no version: it counts when
 * an event says so, except where it may be older than a write of this session. Then methods return true: ask the
 * gateway anew, and let those who read wait.
 */
export class Watch {
  declare readonly _core: Core;
  declare readonly id: string;
  /** Of a watch of whether a user is connected: the user's. */
  declare readonly _home: User | undefined;
  _subscriptions = new Set<AnySubscription>();
  /** Until when it lingers. */
  declare _due: number;
  /** Whether no change can have been missed. */
  _isFresh = false;
  _batch: Batch | undefined;
  _failures = 0;
  /** Why the gateway does not watch the user, if it has said so. */
  _problem: UserlineError | undefined;
  /** Those with which it rests before it is tried again. */
  declare _resting?: readonly Watch[] | undefined;
  declare _online?: UserOnline;
  /** undefined: nothing is known. */
  _user: UserSnapshot | null | undefined;
  _greatest = -1n;
  /** The version of an own write that no event has told of yet. */
  declare _unconfirmed?: bigint | undefined;
  /** The operation has said the greatest version itself. */
  declare _isTold?: boolean;
  /** Null was said by an operation that has not: its gateway may have been behind. */
  _isDoubtful: boolean | undefined;
  /** How often an event has said null. */
  _nulls = 0;
  _deletes = 0;

  constructor(core: Core, id: string, home?: User) {
    this._core = core;
    this.id = id;
    this._home = home;
  }

  /** What there is to show; undefined: nothing yet. */
  get _value(): UserSnapshot | UserOnline | null | undefined {
    return this._home ? this._online : this._user;
  }

  _show(): void {
    // A callback may subscribe and unsubscribe.
    for (const subscription of [...this._subscriptions]) {
      if (this._isFresh || !subscription._isGet) subscription._show(this._value);
    }
  }

  /** Takes what an event says. */
  _hear(told: unknown): boolean | undefined {
    if (!this._home) return this._hearUser(readSnapshot(told));
    const { user, isConnected } = told as { user: unknown; isConnected: boolean };
    this._hearUser(readSnapshot(user));
    const online = { user: this._user!, isConnected };
    if (!isSame(this._online, online)) this._online = Object.freeze(online);
  }

  _hearUser(seen: UserSnapshot | null): boolean | undefined {
    if (!this._isFresh) this._isTold = false;
    if (seen) {
      const version = BigInt(seen.version);
      if (version >= this._greatest) this._isTold = true;
      if (version >= this._unconfirmed!) this._unconfirmed = undefined;
      if (version > this._greatest || (version === this._greatest && this._isDoubtful)) this._take(seen, version);
    } else {
      const isOld = this._unconfirmed !== undefined && !this._deletes;
      this._unconfirmed = undefined; // it is asked again once
      if (isOld) return true;
      this._nulls++;
      this._take(null, this._greatest, !this._isTold);
    }
  }

  /** Takes the answer to a write; `nulls` is how often null had been said when it began. */
  _answer(seen: UserSnapshot, nulls: number): boolean | undefined {
    const version = BigInt(seen.version);
    const isDoubtful = this._nulls > nulls;
    if (version > this._greatest) {
      this._take(seen, version);
      this._isTold = false;
      if (!isDoubtful) this._unconfirmed = version;
    } else if (version < this._greatest || this._user) return;
    return isDoubtful;
  }

  _take(seen: UserSnapshot | null, greatest: bigint, isDoubtful?: boolean): void {
    this._greatest = greatest;
    this._isDoubtful = isDoubtful;
    if (!isSame(this._user, seen)) this._user = seen;
  }
}
