import type { Session, SessionStatus } from '@userline/client';
import { createContext, createElement, useContext, useMemo, useSyncExternalStore, type ReactElement } from 'react';
import { PENDING, active, liveOf } from './live.js';
import type {
  ActiveUser,
  IdleResult,
  MemberResult,
  OnlineResult,
  SetUser,
  SuspenseOptions,
  UserOptions,
  UserResult,
  UserlineProviderProps,
} from './types.js';

interface Provided {
  readonly _session: Session;
  /** What servers show, and browsers while they take over what a server has made. */
  readonly _initial: ReadonlyMap<string, MemberResult>;
  readonly _setUser: SetUser;
}

const Context = /* @__PURE__ */ createContext<Provided | undefined>(undefined);

const IDLE: IdleResult = { status: 'idle' };

/** Gives the hooks below it their session. Neither rendering it nor the hooks opens anything; mounting does. */
export function UserlineProvider({ session, initial, children }: UserlineProviderProps): ReactElement {
  const users = Object.entries(initial ?? {});
  // Of another `initial` later, what is newer is shown; what a server has made is that of the first.
  useMemo(() => session.seed(users), [session, initial]);
  const provided = useMemo<Provided>(
    () => ({
      _session: session,
      _initial: new Map(users.map(([id, user]) => [id, active({ user })])),
      _setUser: async (id, params) => session.user(id).set(params),
    }),
    [session],
  );
  return createElement(Context.Provider, { value: provided }, children);
}

function useProvided(): Provided {
  const provided = useContext(Context);
  if (!provided) throw new Error('There is no <UserlineProvider>.');
  return provided;
}

/** Returns an array for these ids: the same one until something in it changes. */
function useMany(ids: readonly string[], options: UserOptions | undefined, isOnline: boolean): readonly MemberResult[] {
  const { _session, _initial } = useProvided();
  // The same ids are often another array.
  const key = JSON.stringify(ids);
  const [lives, keep, subscribe, read] = useMemo(() => {
    const lives = ids.map((id) => liveOf(_session, id, isOnline));
    let shown: readonly MemberResult[] | undefined;
    const keep = (results: readonly MemberResult[]): readonly MemberResult[] =>
      shown && results.every((result, index) => result === shown![index]) ? shown : (shown = results);
    return [
      lives,
      keep,
      (listener: () => void) => {
        // Tells once of all that changes in one turn.
        let isTold = false;
        const tell = (): void => {
          if (isTold) return;
          isTold = true;
          queueMicrotask(() => {
            isTold = false;
            listener();
          });
        };
        const leaves = lives.map((live) => live._subscribe(tell));
        return () => leaves.forEach((leave) => leave());
      },
      () => keep(lives.map((live) => live._read())),
    ] as const;
  }, [_session, key]);
  const results = useSyncExternalStore(subscribe, read, () =>
    keep(
      ids.map((id) => {
        const result = isOnline ? PENDING : _initial.get(id);
        if (!result && options?.suspense) throw new Error('Not in `initial`: left to the browser.');
        return result ?? PENDING;
      }),
    ),
  );
  if (options?.suspense) for (const wait of lives.map((live) => live._suspend())) if (wait) throw wait;
  return results;
}

/** Returns the session of the `<UserlineProvider>`. */
export function useSession(): Session {
  return useProvided()._session;
}

/** Shows a user, live: what is known of it, or why nothing is. With `null` in place of an id, nothing is asked for. */
export function useUser(id: string, options: SuspenseOptions): ActiveUser;
export function useUser(id: string | null | undefined, options: SuspenseOptions): ActiveUser | IdleResult;
export function useUser(id: string, options?: UserOptions): MemberResult;
export function useUser(id: string | null | undefined, options?: UserOptions): UserResult;
export function useUser(id: string | null | undefined, options?: UserOptions): UserResult {
  return useMany(id == null ? [] : [id], options, false)[0] ?? IDLE;
}

/** Returns what `useUser` does for each of the ids, in their order: the same array until something in it changes. */
export function useUsers(ids: readonly string[], options: SuspenseOptions): readonly ActiveUser[];
export function useUsers(ids: readonly string[], options?: UserOptions): readonly MemberResult[];
export function useUsers(ids: readonly string[], options?: UserOptions): readonly MemberResult[] {
  return useMany(ids, options, false);
}

/** Shows a user and whether somebody is connected with a token of it, live. */
export function useUserOnline(id: string): Exclude<OnlineResult, IdleResult>;
export function useUserOnline(id: string | null | undefined): OnlineResult;
export function useUserOnline(id: string | null | undefined): OnlineResult {
  return (useMany(id == null ? [] : [id], undefined, true)[0] as OnlineResult | undefined) ?? IDLE;
}

/** Returns what patches a user: the same function as long as the session is the same. */
export function useSetUser(): SetUser {
  return useProvided()._setUser;
}

/** Returns what has become of the session's connection. Servers show `idle`. */
export function useSessionStatus(): SessionStatus {
  const session = useSession();
  return useSyncExternalStore(
    session.onStatusChange,
    () => session.status,
    () => 'idle',
  );
}
