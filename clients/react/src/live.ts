import type { Session, Subscription, UserOnline, UserRef, UserSnapshot, UserlineError } from '@userline/client';
import type { FailedResult, MemberResult, PendingResult } from './types.js';

export const PENDING: PendingResult = { status: 'pending' };
export const active = <T extends object>(value: T): T & { readonly status: 'active' } => ({ status: 'active', ...value });

/** What all components that show one user share: one subscription, as long as there are any. */
export interface Live {
  /** Returns the same object until it changes. */
  readonly _read: () => MemberResult;
  readonly _subscribe: (listener: () => void) => () => void;
  /** Throws what is wrong; returns what there is to wait for, if there is. That never rejects. */
  readonly _suspend: () => Promise<unknown> | false;
}

const USERS = /* @__PURE__ */ new WeakMap<UserRef, Live>();
const ONLINE = /* @__PURE__ */ new WeakMap<UserRef, Live>();

/** Returns what is shared by all who show this user: the same object, as long as somebody holds it. */
export function liveOf(session: Session, id: string, isOnline: boolean): Live {
  const lives = isOnline ? ONLINE : USERS;
  const listeners = new Set<() => void>();
  let ref: UserRef | undefined;
  let subscription: Subscription<unknown> | undefined;
  type Value = UserOnline | UserSnapshot | null | undefined;
  let shown: Value;
  let seen: Value;
  let result: MemberResult = PENDING;
  /** Stands in place of what is known. */
  let failure: FailedResult | undefined;
  /** Whether it was told a while ago, so that who waits again means to try again. */
  let isOld = false;
  let waiting: Promise<unknown> | undefined;

  const tell = (): void => listeners.forEach((listener) => listener());
  const known = (): MemberResult => {
    // A session may know a user without a subscription of ours.
    const value = isOnline ? shown : ref?.peek();
    if (value !== seen) {
      seen = value;
      result = value === undefined ? PENDING : active((isOnline ? value : { user: value }) as UserOnline);
    }
    return result;
  };
  const fail = (error: unknown): void => {
    failure = { ...known(), status: 'error', error: error as UserlineError, retry };
    isOld = false;
    tell();
    // With another token, say, a session goes on, and so does what it has ended with an error.
    if (session.status !== 'failed') return;
    const stop = session.onStatusChange(() => {
      stop();
      retry();
    });
  };
  const begin = (): void => {
    failure = undefined;
    if (!listeners.size) return;
    subscription?.unsubscribe();
    try {
      const begun = session.user(id)[isOnline ? 'subscribeOnline' : 'subscribe']((value: Value) => {
        shown = value;
        failure = undefined; // that of a `get`, say, for which it came too late
        tell();
      });
      subscription = begun;
      void begun.terminated.then((end) => {
        if (end.type === 'error' && subscription === begun) fail(end.error);
      });
    } catch (error) {
      fail(error);
    }
  };
  const retry = (): void => {
    if (!failure) return;
    begin();
    tell();
  };
  const forget = (): void => {
    isOld = true;
    if (listeners.size) return;
    failure = shown = undefined;
  };
  const live: Live = {
    _read: () => failure ?? known(),
    _subscribe: (listener) => {
      listeners.add(listener);
      if (listeners.size === 1) begin();
      return () => {
        listeners.delete(listener);
        if (listeners.size) return;
        subscription?.unsubscribe();
        // Whoever comes in the same turn, such as a component that is mounted in place of another, finds what was.
        queueMicrotask(forget);
      };
    },
    _suspend: () => {
      if (isOld) retry();
      if (failure) {
        // React looks at it twice at once; when somebody tries again later, it is asked for again.
        setTimeout(forget);
        throw failure.error;
      }
      return (
        known() === PENDING &&
        (waiting ??= ref!
          .get()
          .catch(fail)
          .then(() => (waiting = undefined)))
      );
    },
  };
  try {
    ref = session.user(id);
    if (lives.has(ref)) return lives.get(ref)!;
    lives.set(ref, live);
  } catch (error) {
    fail(error);
  }
  return live;
}
