import type { Session, SetUserParams, SetUserResult, UserSnapshot, UserlineError } from '@userline/client';
import type { ReactNode } from 'react';

/** There is no id, so that nothing is asked for. */
export interface IdleResult {
  readonly status: 'idle';
  readonly user?: undefined;
  readonly isConnected?: undefined;
  readonly error?: undefined;
}
/** Nothing is known yet. */
export interface PendingResult {
  readonly status: 'pending';
  readonly user?: undefined;
  readonly isConnected?: undefined;
  readonly error?: undefined;
}
/** The user as the session knows it, `null` if there is no such user. It is kept up to date. */
export interface ActiveUser {
  readonly status: 'active';
  readonly user: UserSnapshot | null;
  readonly error?: undefined;
}
export interface ActiveOnline extends ActiveUser {
  readonly isConnected: boolean;
}
/** The gateway does not let it be watched, or did not answer. What was seen last is still there, if anything was. */
export interface FailedResult {
  readonly status: 'error';
  readonly user?: UserSnapshot | null | undefined;
  readonly isConnected?: boolean | undefined;
  readonly error: UserlineError;
  /** Asks again. */
  readonly retry: () => void;
}

/** What `useUser` returns: the same object until it changes. */
export type UserResult = IdleResult | PendingResult | ActiveUser | FailedResult;
/** What `useUsers` returns for each id. */
export type MemberResult = PendingResult | ActiveUser | FailedResult;
/** What `useUserOnline` returns: the same object until it changes. */
export type OnlineResult = IdleResult | PendingResult | ActiveOnline | FailedResult;

export interface UserOptions {
  /** Waits in `<Suspense>` until the user is known, and throws errors to the next error boundary. */
  readonly suspense?: boolean | undefined;
}
export interface SuspenseOptions extends UserOptions {
  readonly suspense: true;
}

/** Patches a user, as `session.user(id).set(params)` does. */
export type SetUser = (id: string, params: SetUserParams) => Promise<SetUserResult>;

/** Users by their ids, such as a server knew them when it made the page; `null` = there is no such user. */
export type InitialUsers = Readonly<Record<string, UserSnapshot | null>>;

export interface UserlineProviderProps {
  readonly session: Session;
  /** What is shown until the gateway has answered, and all that is shown by a server. Nothing goes back in version. */
  readonly initial?: InitialUsers | undefined;
  readonly children?: ReactNode;
}
