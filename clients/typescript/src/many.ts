import { onceATurn } from './clock.js';
import { isSame } from './snapshot.js';
import { LiveSubscription } from './subscription.js';
import type { UserMap, UserSnapshot } from './types.js';
import type { User } from './user.js';
import { subscribe } from './watches.js';

/** Subscribes to many users at once: puts together what the subscriptions to each of them say. */
export const subscribeToMany = (
  users: readonly User[],
  listener: ((users: UserMap) => void) | undefined,
): LiveSubscription<UserMap> => {
  const whole = new LiveSubscription(listener);
  const wanted = new Set(users);
  const known = new Map<string, UserSnapshot | null>();
  const show = onceATurn(() => {
    const map = new Map<string, UserSnapshot | null>([...wanted].map(({ id }) => [id, known.get(id)!]));
    if (known.size < wanted.size || isSame(map, whole._latest)) return;
    map.set = map.delete = map.clear = undefined as never; // it is read-only
    whole._show(Object.freeze(map));
  });
  const members = Array.from(wanted, (user) => {
    const member = subscribe(user, (snapshot: UserSnapshot | null) => {
      known.set(user.id, snapshot);
      show();
    });
    const leave = member._leave!;
    member._leave = () => {
      leave(member);
      whole._end(member._reason!, member.state.type === 'error');
    };
    return member;
  });
  whole._leave = () => {
    for (const member of members) member.unsubscribe();
  };
  show();
  return whole;
};
