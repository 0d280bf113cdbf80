import type { Core } from './core.js';
import { CREATE, DELETE, SET, checkId } from './documents.js';
import { request } from './request.js';
import { isSame, readSnapshot } from './snapshot.js';
import type {
  CreateUserParams,
  CreateUserResult,
  SetUserParams,
  SetUserResult,
  SubscribeOptions,
  Subscription,
  UserOnline,
  UserRef,
  UserSnapshot,
  UserSubscription,
} from './types.js';
import { Watch } from './watch.js';
import { isHeld, linger, subscribe, written } from './watches.js';

/** A reference to a user, which is its watch: see `UserRef` in types.ts. */
export class User extends Watch implements UserRef {
  /** What watches whether the user is connected. */
  declare _presence?: Watch;

  async get(): Promise<UserSnapshot | null> {
    if (this._isFresh) {
      if (!isHeld(this)) linger(this);
    } else {
      const subscription = subscribe(this, undefined, true);
      await subscription.connected;
      subscription.unsubscribe();
    }
    return this._user!;
  }

  peek(): UserSnapshot | null | undefined {
    return this._user;
  }

  set(params: SetUserParams): Promise<SetUserResult> {
    return this._write(SET, params);
  }

  createIfNotExists(params: CreateUserParams): Promise<CreateUserResult> {
    return this._write(CREATE, params);
  }

  delete(): Promise<boolean> {
    const { id, _greatest } = this;
    this._deletes++;
    return request(this._core, DELETE, { id }, ({ deleted }: { deleted: boolean }) => {
      if (typeof deleted !== 'boolean') throw deleted;
      if (this._greatest === _greatest) {
        this._unconfirmed = undefined;
        this._take(null, _greatest);
      }
      written(this, !!this._user); // something newer has come meanwhile
      return deleted;
    }).finally(() => this._deletes--);
  }

  subscribe(onSnapshot?: (snapshot: UserSnapshot | null) => void, options?: SubscribeOptions): UserSubscription {
    return subscribe(this, onSnapshot)._begun(options);
  }

  subscribeOnline(onSnapshot?: (online: UserOnline) => void, options?: SubscribeOptions): Subscription<UserOnline> {
    return subscribe((this._presence ??= new Watch(this._core, this.id, this)), onSnapshot)._begun(options);
  }

  _write(document: string, input: object): Promise<SetUserResult> {
    const { id, _nulls } = this;
    return request(this._core, document, { id, input }, (told: SetUserResult) => {
      const user = readSnapshot(told.user)!;
      written(this, this._answer(user, _nulls));
      return Object.freeze({ ...told, user: isSame(this._user, user) ? this._user! : user });
    });
  }
}

/** Returns the reference to a user, the same one while anybody has it, or it is watched, or was lately. */
export const userOf = (core: Core, id: string): User => {
  let user = core._users.get(checkId(id))?.deref();
  if (!user) {
    user = new User(core, id);
    core._users.set(id, new WeakRef(user));
    core._forgotten.register(user, id);
  }
  return user;
};
