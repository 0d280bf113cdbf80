import type { Connection } from './connection.js';
import { CHANGED, ONLINE, bytesOf, encode } from './documents.js';
import { ProtocolError, errorFrom, type UserlineError } from './errors.js';
import type { Data, Operation } from './operation.js';
import type { Watch } from './watch.js';
import type { Watches } from './watches.js';

/** How many users one operation may watch. */
const MAX_IDS = 1000;

/** The watches that one operation keeps up to date. */
export class Batch implements Operation {
  readonly _isRequest = false;
  readonly _payload: string;
  readonly _isOnline: boolean;
  /** How many users the gateway watches for it, wanted or not. */
  readonly _size: number;
  /** Those that it still keeps up to date. */
  readonly _members = new Map<string, Watch>();
  readonly _connection: Connection;
  readonly _owner: Watches;

  constructor(watches: Watch[], connection: Connection, owner: Watches) {
    const { _id: id, _isOnline } = watches[0]!;
    this._connection = connection;
    this._owner = owner;
    this._isOnline = _isOnline;
    this._size = watches.length;
    this._payload = _isOnline ? encode(ONLINE, { id }) : encode(CHANGED, { ids: watches.map((watch) => watch._id) });
    for (const watch of watches) {
      this._members.set(watch._id, watch);
      watch._batch = this;
    }
  }

  /** Keeps a watch up to date no more. */
  _release(watch: Watch): void {
    this._members.delete(watch._id);
    watch._batch = undefined;
    watch._isFresh = false;
  }

  _fail(error: UserlineError | undefined): void {
    this._owner._takeError(this._owner._endBatch(this), error);
  }

  _take(data: Data, errors: unknown): void {
    if (this._isOnline) {
      for (const watch of this._members.values()) this._owner._take(watch, data.userOnlineChanged);
      return;
    }
    const entries = data.usersChanged as { id: string; user: unknown }[];
    if (!Array.isArray(entries)) {
      throw new ProtocolError('The usersChanged of this gateway is not that of this client: it gives no lists.');
    }
    const refused = new Map<unknown, UserlineError>();
    for (const error of (errors ?? []) as { path?: unknown[] }[]) {
      const place = error.path?.[1];
      if (!entries[place as number]) throw errorFrom(errors);
      refused.set(place, errorFrom([error]));
    }
    entries.forEach(({ id, user }, place) => {
      const watch = this._members.get(id);
      const refusal = refused.get(place);
      if (!watch) return;
      if (!refusal) return this._owner._take(watch, user);
      this._owner._letGo(watch);
      this._owner._takeError([watch], refusal);
    });
  }
}

/** Splits watches into what one operation each may ask for, well below the limit of a message. */
export function* split(watches: Watch[], messageBytes: number): Generator<Watch[]> {
  let batch: Watch[] = [];
  let size = 0;
  for (const watch of watches) {
    const bytes = bytesOf(JSON.stringify(watch._id)) + 1;
    size += bytes;
    if (batch.length === MAX_IDS || (batch.length && size > messageBytes * 0.75)) {
      yield batch;
      batch = [];
      size = bytes;
    }
    batch.push(watch);
  }
  if (batch.length) yield batch;
}
