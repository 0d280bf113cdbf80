// What compiles, and what must not: each `@ts-expect-error` is an error if the line below it is none.
import { createSession, type SessionStatus, type UserSnapshot, type UserlineError } from '@userline/client';
import {
  UserlineProvider,
  useSession,
  useSessionStatus,
  useSetUser,
  useUser,
  useUserOnline,
  useUsers,
  type InitialUsers,
  type MemberResult,
} from '@userline/react';

type IsAny<T> = 0 extends 1 & T ? true : false;
const no = <T extends false>(_: T): void => {};

export function Name({ id, maybe }: { id: string; maybe: string | null | undefined }) {
  const { user, error } = useUser(id);
  no<IsAny<typeof user>>(false);
  const known: UserSnapshot | null | undefined = user;
  const wrong: UserlineError | undefined = error;
  // @ts-expect-error - it may not be known yet
  console.log(known, wrong, user.name);
  const result = useUser(id);
  if (result.status === 'active') {
    const shown: UserSnapshot | null = result.user;
    console.log(shown);
  } else if (result.status === 'error') result.retry();
  // @ts-expect-error - there is nothing to try again
  else result.retry();
  // @ts-expect-error - there is an id, so that it is not idle
  if (result.status === 'idle') console.log();
  if (useUser(maybe).status === 'idle') console.log();
  // @ts-expect-error - a user is somebody, not a number
  useUser(5);

  const waited: UserSnapshot | null = useUser(id, { suspense: true }).user;
  const status: 'active' | 'idle' = useUser(maybe, { suspense: true }).status;
  const online = useUserOnline(id);
  if (online.status === 'active') {
    const isConnected: boolean = online.isConnected;
    console.log(waited, status, isConnected);
  }
  const isConnected: boolean | undefined = useUserOnline(maybe).isConnected;
  return <b>{isConnected}</b>;
}

export function Team({ ids }: { ids: readonly string[] }) {
  const team: readonly MemberResult[] = useUsers(ids);
  // @ts-expect-error - it is shared
  team.push();
  // @ts-expect-error - snapshots are read-only
  if (team[0]?.user) team[0].user.name = 'x';
  const names: string[] = useUsers(ids, { suspense: true }).map(({ user }) => user?.name ?? '');
  return names;
}

export function Rename() {
  const setUser = useSetUser();
  const current: SessionStatus = useSessionStatus();
  const rename = async () => {
    const { user } = await setUser('a', { name: 'Ann', custom: { team: null } });
    no<IsAny<typeof user>>(false);
    // @ts-expect-error - custom attributes are strings
    await setUser('a', { custom: { a: 1 } });
  };
  return (
    <button onClick={rename} title={current}>
      {useSession().currentUser?.id}
    </button>
  );
}

const session = createSession({ url: 'ws://127.0.0.1:8000/graphql' });
const initial: InitialUsers = { a: null };
export const app = (
  <UserlineProvider session={session} initial={initial}>
    <Name id="a" maybe={null} />
  </UserlineProvider>
);
// @ts-expect-error - there are no users without a session
export const none = <UserlineProvider />;
