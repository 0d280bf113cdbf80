import { onceATurn } from './clock.js';
import { isSame } from './snapshot.js';
import { LiveSubscription } from './subscription.js';
import type { SubscribeOptions, UserMap, UserSnapshot } from './types.js';
import type { User } from './user.js';
import { subscribe } from './watches.js';

const refuse = (): never => {
  throw new TypeError('This is read-only.');
};

/** Subscribes to many users at once: puts together what the subscriptions to each of them say. */
export const subscribeToMany = (
  users: readonly User[],
  listener: ((users: UserMap) => void) | undefined,
  options: SubscribeOptions | undefined,
): LiveSubscription<UserMap> => {
  const whole = new LiveSubscription(listener);
  const wanted = new Set(users);
  const known = new Map<string, UserSnapshot | null>();
  const members: LiveSubscription<UserSnapshot | null>[] = [];
  const show = onceATurn(() => {
    const map: UserMap & { set: unknown; delete: unknown; clear: unknown } = new Map([...wanted].map(({ id }) => [id, known.get(id)!]));
    if (known.size < wanted.size || isSame(map, whole._latest)) return;
    map.set = map.delete = map.clear = refuse;
    whole._show(Object.freeze(map));
  });
  whole._leave = () => {
    for (const member of members) member.unsubscribe();
  };
  for (const user of wanted) {
    const member = subscribe(user, (snapshot: UserSnapshot | null) => {
      known.set(user.id, snapshot);
      show();
    });
    members.push(member);
    const leave = member._leave!;
    member._leave = () => {
      leave(member);
      whole._end(member._reason!, member.state.type === 'error');
    };
  }
  show();
  return whole._begun(options);
};
