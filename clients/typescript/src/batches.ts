import { makeConnection, need, start, stop, type Connection, type Limits, type Operation } from './connection.js';
import type { Core } from './core.js';
import { CHANGED, ONLINE, bytesOf, encode } from './documents.js';
import { UserlineError } from './errors.js';
import { errorFrom } from './failures.js';
import { MAX_BATCHES, MAX_IDS, MAX_SOCKETS, SMALL } from './numbers.js';
import type { User } from './user.js';
import type { Watch } from './watch.js';
import { end, expect, isHeld, isWanted, keep, letGo, take, takeError } from './watches.js';

// Which operations there are, and over which sockets they travel.

/** The watches that one operation keeps up to date. */
export interface Batch extends Operation {
  readonly _connection: Connection;
  /** Of one that watches whether a user is connected: the user. */
  readonly _home: User | undefined;
  /** How many users the gateway watches for it, wanted or not. */
  readonly _size: number;
  readonly _members: Map<string, Watch>;
}

const batchesOf = ({ _operations }: Connection): Batch[] =>
  [..._operations.values()].filter((operation) => operation._members) as Batch[];

const unwantedIn = ({ _size, _members }: Batch): number => _size - [..._members.values()].filter(isWanted).length;

/** Whether a connection has a reason to be. */
export const isNeeded = (connection: Connection): boolean => {
  for (const { _members } of connection._operations.values()) if (!_members || [..._members.values()].some(isHeld)) return true;
  const { _connections, _queue, _resting } = connection._core;
  if (connection === _connections[0] && [..._resting.values()].flat().some(isHeld)) return true;
  return connection === _connections.find((other) => !other._limits) && [..._queue].some(isHeld);
};

/** Finds a place for those who wait for one. */
export const place = (core: Core): void => {
  const { _connections, _queue, _toReview } = core;
  for (const batch of _toReview) if (unwantedIn(batch) * 2 > batch._size) regroup(batch);
  _toReview.clear();
  for (const connection of _connections) if (connection._limits && _queue.size) fill(connection, connection._limits);
  if (!_queue.size) return;
  // There is no room: that of those whom nobody wants is taken first.
  const wasteful = _connections.flatMap(batchesOf).filter(unwantedIn);
  if (wasteful.length) {
    wasteful.forEach(regroup);
    return place(core);
  }
  let next = _connections.find((connection) => !connection._limits);
  if (!next && _connections.length < MAX_SOCKETS) _connections.push((next = makeConnection(core)));
  if (next) need(next);
  else {
    const error = new UserlineError('TOO_MANY_WATCHES', 'Too much is watched.');
    for (const watch of _queue) end(watch, error);
  }
};

/** Begins as much as there is room for on a socket. */
const fill = (connection: Connection, limits: Limits): void => {
  const { _core, _operations } = connection;
  const batches = batchesOf(connection);
  const users = batches.filter(({ _home }) => !_home);
  if (batches.length >= Math.min(MAX_BATCHES, limits.subscriptions >> 1)) {
    for (const batch of users) if (batch._size <= SMALL) regroup(batch);
  }
  let room = limits.watchedUsers;
  for (const batch of users) if (_operations.has(batch._key!)) room -= batch._size;
  let part: Watch[] = [];
  let bytes = 0;
  const begin = (watches: Watch[]): void => {
    if (watches.length && batchesOf(connection).length < limits.subscriptions) start(connection, makeBatch(watches, connection));
  };
  for (const watch of [..._core._queue]) {
    if (watch._home) begin([watch]);
    else if (room-- > 0) {
      const size = bytesOf(JSON.stringify(watch.id)) + 1;
      bytes += size;
      // Well below the limit of a message.
      if (part.length === MAX_IDS || bytes > limits.messageBytes * 0.75) {
        begin(part);
        part = [];
        bytes = size;
      }
      part.push(watch);
    }
  }
  begin(part);
};

const makeBatch = (watches: Watch[], connection: Connection): Batch => {
  const { id, _home } = watches[0]!;
  const members = new Map(watches.map((watch) => [watch.id, watch]));
  const batch: Batch = {
    _connection: connection,
    _home,
    _size: watches.length,
    _members: members,
    _payload: _home ? encode(ONLINE, { id }) : encode(CHANGED, { ids: [...members.keys()] }),
    _take(told, errors = []) {
      const entries = (_home ? [{ id, user: told }] : told) as { id: string; user: unknown }[];
      for (const { path } of errors) if (!entries[path?.[1] as number]) throw errorFrom(errors);
      entries.forEach(({ id, user }, place) => {
        const watch = members.get(id);
        const refusal = errors.find(({ path }) => path![1] === place);
        if (!watch) return;
        if (!refusal) return take(watch, user);
        letGo(watch);
        takeError([watch], errorFrom([refusal]));
      });
    },
    _fail: (error) => takeError(endBatch(batch), error),
  };
  for (const watch of watches) {
    watch._batch = batch;
    connection._core._queue.delete(watch);
    expect(watch);
  }
  return batch;
};

/** Keeps a watch up to date no more. */
export const release = (watch: Watch): void => {
  watch._batch?._members.delete(watch.id);
  watch._batch = undefined;
  watch._isFresh = false;
};

/** Ends an operation; who is wanted of it gets into another one. */
const regroup = (batch: Batch): void => {
  for (const watch of endBatch(batch)) keep(watch);
};

/** Ends an operation, and returns its watches. */
const endBatch = (batch: Batch): Watch[] => {
  const watches = [...batch._members.values()];
  stop(batch._connection, batch);
  watches.forEach(release);
  return watches;
};

/** Keeps what somebody uses for another socket; lets go what only lingers. */
export const lost = (connection: Connection): void => {
  for (const watch of batchesOf(connection).flatMap(endBatch)) {
    for (const subscription of watch._subscriptions) {
      // The gateway is not to blame: it is waited as long as it takes. A get has its time in any case.
      if (watch._problem || subscription._isGet) continue;
      clearTimeout(subscription._timer);
      subscription._timer = undefined;
    }
    keep(watch, isHeld(watch));
  }
};
