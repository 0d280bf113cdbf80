import { release } from './batches.js';
import { callBack, now, pauseAfter } from './clock.js';
import { drop, rest } from './connection.js';
import type { Core } from './core.js';
import type { UserlineError } from './errors.js';
import { invalid, outOfTime, type errorFrom } from './failures.js';
import { LINGER, MAX_DELAY, MAX_UNUSED } from './numbers.js';
import { checkOpen } from './request.js';
import { readSnapshot } from './snapshot.js';
import { LiveSubscription } from './subscription.js';
import type { UserSnapshot } from './types.js';
import type { AnySubscription, Watch } from './watch.js';

/** Whether somebody uses a watch now. */
export const isHeld = (watch: Watch): boolean => !!watch._subscriptions.size;

export const isWanted = (watch: Watch): boolean => isHeld(watch) || watch._core._lingering.has(watch);

/** Subscribes to a watch, for somebody who listens, or for a `get()`. */
export const subscribe = <T>(watch: Watch, listener?: (value: T) => void, isGet?: boolean): LiveSubscription<T> => {
  const subscription = new LiveSubscription(listener);
  checkOpen(watch._core);
  watch._core._lingering.delete(watch);
  if (!watch._batch && !watch._resting) keep(watch, true);
  watch._subscriptions.add(subscription as AnySubscription);
  subscription._isGet = isGet;
  subscription._watch = watch;
  subscription._leave = leave;
  if (watch._isFresh) queueMicrotask(() => subscription._show(watch._value as T));
  else if (watch._batch || watch._problem || isGet) limit(subscription);
  return subscription;
};

const leave = <T>(subscription: LiveSubscription<T>): void => {
  const watch = subscription._watch!;
  if (watch._subscriptions.delete(subscription as AnySubscription) && !isHeld(watch)) linger(watch);
};

/** Takes what another session has seen. */
export const seed = (watch: Watch, told: unknown): void => {
  let user: UserSnapshot | null;
  try {
    user = readSnapshot(structuredClone(told));
    if (user && user.id !== watch.id) throw user.id;
  } catch (error) {
    throw invalid(`No snapshot of ${watch.id}: ${error as string}`);
  }
  if (user || watch._user === undefined) watch._hearUser(user);
  written(watch);
};

/** Shows what a write has changed; who reads waits if that is doubtful. */
export const written = (watch: Watch, isDoubtful?: boolean): void => {
  remember(watch);
  watch._show();
  if (isDoubtful && watch._batch) askAgain(watch);
};

/** Ends everything: with an error if it has failed, or else as `unsubscribe()` does, and then `error` goes to who waits. */
export const endAll = (core: Core, error: UserlineError, status: 'failed' | 'closed'): void => {
  for (const connection of core._connections) {
    rest(connection, status);
    for (const operation of connection._operations.values()) drop(connection, operation, error);
  }
  for (const ref of core._users.values()) {
    const user = ref.deref();
    for (const watch of [user, user?._presence]) if (watch) end(watch, error, status === 'failed');
  }
};

/** There is no use in trying again. */
export const failAll = (core: Core, error: UserlineError): void => {
  endAll(core, error, 'failed');
  void callBack(core._onError ?? console.error, error);
};

// What batches say

export const take = (watch: Watch, told: unknown): void => {
  if (watch._hear(told)) return askAgain(watch);
  watch._isFresh = true;
  watch._failures = 0;
  watch._problem = undefined;
  watch._show();
};

/** Tries watches again that the gateway does not watch now, or ends them. */
export const takeError = (watches: Watch[], error: ReturnType<typeof errorFrom> | undefined): void => {
  if (error && !/^(STORE_UNAVAILABLE|RATE_LIMITED)$/.test(error.code)) {
    for (const watch of watches) end(watch, error);
    return;
  }
  const resting = watches.filter((watch) => isHeld(watch) || void forget(watch));
  if (!resting.length) return;
  const core = resting[0]!._core;
  let failures = 0;
  for (const watch of resting) {
    failures = Math.max(failures, ++watch._failures);
    watch._problem = error ?? watch._problem;
    watch._resting = resting;
    expect(watch);
  }
  const seconds = error?.retryAfterSeconds;
  const pause = seconds! > 0 ? seconds! * 1000 * (1 + Math.random() / 10) : pauseAfter(failures);
  const timer = setTimeout(() => {
    core._resting.delete(timer);
    for (const watch of resting) {
      if (watch._resting !== resting) continue; // it was forgotten meanwhile
      watch._resting = undefined;
      keep(watch, isHeld(watch));
    }
  }, Math.min(pause, MAX_DELAY));
  core._resting.set(timer, resting);
};

// Who uses a watch

export const linger = (watch: Watch): void => {
  const core = watch._core;
  watch._due = now() + LINGER;
  if (!core._sweeper) sweepIn(core, LINGER);
  if (watch._batch) watch._batch._connection._neededAt = now(); // that was a use of the socket, too
  const oldest = putLast(core._lingering, watch);
  if (oldest) letGoUnwanted(oldest);
};

/** Lets go all who have lingered for long enough then, and waits for the next one. */
const sweepIn = (core: Core, milliseconds: number): void => {
  core._sweeper = setTimeout(() => {
    core._sweeper = undefined;
    for (const watch of core._lingering) {
      const left = watch._due - now();
      if (left > 0) return sweepIn(core, left);
      letGoUnwanted(watch);
    }
  }, milliseconds);
};

/** Makes a watch the last one to go of those that nobody uses. Returns the first one, if they are too many. */
const putLast = (watches: Set<Watch>, watch: Watch): Watch | false => {
  watches.delete(watch);
  watches.add(watch);
  const [oldest] = watches;
  return watches.size > MAX_UNUSED && oldest!;
};

/** As long as its batch goes on, it is kept up to date, and can be wanted again. */
const letGoUnwanted = (watch: Watch): void => {
  watch._core._lingering.delete(watch);
  if (watch._batch) review(watch);
  else forget(watch);
};

/** Has it looked whether the watch's batch is still worth its while. */
const review = ({ _core, _batch }: Watch): void => {
  if (!_batch) return;
  _core._toReview.add(_batch);
  _core._schedule();
};

/** Takes a watch out of its batch. */
export const letGo = (watch: Watch): void => {
  review(watch);
  release(watch);
};

const askAgain = (watch: Watch): void => {
  letGo(watch);
  keep(watch);
};

/** Has a watch begun at the end of this turn, if it is wanted. */
export const keep = (watch: Watch, isKept = isWanted(watch)): void => {
  if (!isKept) return forget(watch);
  watch._core._queue.add(watch);
  watch._core._schedule();
};

export const forget = (watch: Watch): void => {
  const core = watch._core;
  letGo(watch);
  core._lingering.delete(watch);
  core._queue.delete(watch);
  // What the gateway said of it is of the past when somebody asks again.
  watch._problem = watch._resting = undefined;
  watch._failures = 0;
  remember(watch);
};

/** Remembers what was seen of a user for a while. */
const remember = (watch: Watch): void => {
  const { _idle } = watch._core;
  const oldest = putLast(_idle, watch);
  if (oldest) _idle.delete(oldest);
};

export const end = (watch: Watch, reason: UserlineError, isError?: boolean): void => {
  const subscriptions = watch._subscriptions;
  watch._subscriptions = new Set();
  forget(watch);
  for (const subscription of subscriptions) subscription._end(reason, isError);
};

// How long is waited for the gateway

/** Gives the gateway its time to answer those who have seen nothing yet. */
export const expect = (watch: Watch): void => {
  for (const subscription of watch._subscriptions) if (!subscription._first) limit(subscription);
};

const limit = <T>(subscription: LiveSubscription<T>): void => {
  const { _core } = subscription._watch!;
  subscription._timer ??= setTimeout(() => {
    subscription._end(subscription._watch!._problem ?? outOfTime(_core));
  }, _core._timeout);
};
