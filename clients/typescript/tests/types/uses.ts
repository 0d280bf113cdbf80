// What compiles, and what must not: each `@ts-expect-error` is an error if the line below it is none.
import { createSession, BadUserInput, InvalidInput, ProtocolError, RateLimited, UserlineError, type Session, type UserSnapshot } from '@userline/client';
import NodeWebSocket from 'ws';

type IsAny<T> = 0 extends 1 & T ? true : false;
const no = <T extends false>(_: T): void => {};

export const session: Session = createSession({ url: 'ws://127.0.0.1:8000/graphql', WebSocket: NodeWebSocket });
createSession({ url: '/graphql', WebSocket, onNeedToken: async () => 'x', userId: undefined, fresh: true });
// @ts-expect-error - there is no gateway without a URL
createSession({});
// @ts-expect-error - a token is a string
createSession({ url: '/graphql', onNeedToken: () => 5 });

const ann = session.user('ann');
const snapshot = await ann.get();
if (snapshot) {
  no<IsAny<typeof snapshot.name>>(false);
  no<IsAny<(typeof snapshot.custom)[string]>>(false);
  // @ts-expect-error - snapshots are read-only
  snapshot.name = 'Ann';
  // @ts-expect-error - all the way down
  snapshot.custom.team = 'blue';
  const version: string = snapshot.version;
  console.log(version);
}

await ann.set({ name: 'Ann', custom: { team: 'blue', old: null, left: undefined }, locale: null, email: 'a@b.c', phone: ['+1'] });
await ann.set({ pushTokens: { 'fcm:x': true, 'fcm:y': null } });
// @ts-expect-error - custom attributes are strings
await ann.set({ custom: { a: 1 } });
// @ts-expect-error - a user always has a name
await ann.set({ name: null });
// @ts-expect-error - no such field
await ann.set({ nickname: 'A' });
// @ts-expect-error - a push token is registered or not
await ann.set({ pushTokens: { 'fcm:x': false } });
// @ts-expect-error - a name is required
await ann.createIfNotExists({ locale: 'nl' });

const subscription = ann.subscribe((user) => {
  const known: UserSnapshot | null = user;
  console.log(known);
});
const { state } = subscription;
if (state.type === 'active') {
  const latest: UserSnapshot | null = state.latestSnapshot;
  console.log(latest);
  // @ts-expect-error - there is no error while it is active
  console.log(state.error);
} else if (state.type === 'error') {
  const error: UserlineError = state.error;
  if (error instanceof BadUserInput) console.log(error.problems[0]?.field.length);
} else {
  // @ts-expect-error - nothing is known
  console.log(state.latestSnapshot);
}
no<IsAny<typeof subscription.connected>>(false);
for await (const user of subscription) console.log(user?.name);
for await (const users of session.users(['a']).subscribe()) console.log(users.get('a')?.name);
for await (const online of ann.subscribeOnline()) console.log(online.isConnected, online.user?.name);

session.seed(new Map([['ann', snapshot]]));
session.seed(Object.entries({ ann: snapshot, nobody: null }));
// @ts-expect-error - a snapshot is whole
session.seed([['ann', { id: 'ann', name: 'Ann' }]]);

const problem: unknown = state;
if (problem instanceof RateLimited) {
  const seconds: number | undefined = problem.retryAfterSeconds;
  no<IsAny<typeof problem>>(false);
  console.log(seconds, problem.code, problem.extensions.code);
} else if (problem instanceof ProtocolError) {
  console.log(problem.closeCode);
  // @ts-expect-error - the gateway did not say that
  console.log(problem.retryAfterSeconds);
}
console.log(new InvalidInput('of a test').code);

const { roles } = await session.app();
no<IsAny<(typeof roles)[string][string]>>(false);
await using _closed = session;
