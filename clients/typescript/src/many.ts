import { isSame } from './snapshot.js';
import { LiveSubscription, UNSUBSCRIBED, failed } from './subscription.js';
import type { SubscribeOptions, UserMap, UserSnapshot } from './types.js';
import type { Watches } from './watches.js';

type Users = Map<string, UserSnapshot | null>;

function isSameMap(a: UserMap, b: UserMap): boolean {
  for (const [id, user] of a) if (!isSame(user, b.get(id))) return false;
  return true;
}

function refuse(): never {
  throw new TypeError('A snapshot is read-only; set() changes a user.');
}

/** Makes a map that cannot be changed. */
function frozen(users: Users): UserMap {
  const map = new Map(users);
  map.set = map.delete = map.clear = refuse;
  return Object.freeze(map);
}

/** Subscribes to many users at once: puts together what the subscriptions to each of them say. */
export function subscribeToMany(
  watches: Watches,
  ids: readonly string[],
  listener: ((users: UserMap) => void) | undefined,
  options: SubscribeOptions | undefined,
): LiveSubscription<UserMap> {
  const whole = new LiveSubscription(listener, options, isSameMap);
  const known: Users = new Map();
  const members: LiveSubscription<UserSnapshot | null>[] = [];
  const wanted = new Set(ids);
  let isScheduled = false;
  const leave = (): void => {
    for (const member of members) member.unsubscribe();
  };
  const show = (): void => {
    isScheduled = false;
    if (whole._revision && isSameMap(known, whole._latest!)) return;
    whole._show(frozen(known));
  };
  const schedule = (): void => {
    if (isScheduled || known.size < wanted.size) return;
    isScheduled = true;
    queueMicrotask(show);
  };
  whole._leave = leave;
  for (const id of wanted) {
    const member = new LiveSubscription<UserSnapshot | null>((user) => {
      known.set(id, user);
      schedule();
    }, undefined);
    member._onEnd = () => {
      if (whole._reason) return; // it is over, and lets go of all of them
      if (member.state.type === 'error') whole._end(failed(member.state.error), member._reason!);
      else whole._end(UNSUBSCRIBED, member._reason!);
      leave();
    };
    members.push(member);
    watches._subscribe(id, false, member as unknown as LiveSubscription<never>);
  }
  schedule();
  return whole._begun();
}
