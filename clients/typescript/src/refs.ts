import { CREATE, DELETE, SET } from './documents.js';
import type { Core } from './core.js';
import { checkOpen, request } from './session.js';
import { readSnapshot } from './snapshot.js';
import { LiveSubscription } from './subscription.js';
import { subscribeToMany } from './many.js';
import type {
  CreateUserParams,
  CreateUserResult,
  SetUserParams,
  SetUserResult,
  SubscribeOptions,
  Subscription,
  UserMap,
  UserOnline,
  UserRef,
  UserRefs,
  UserSnapshot,
  UserSubscription,
} from './types.js';
import { get, subscribe, watchOf, written } from './watches.js';

/** A reference to a user: see `UserRef` in types.ts. */
export class Ref implements UserRef {
  readonly id: string;
  readonly _core: Core;

  constructor(id: string, core: Core) {
    this.id = id;
    this._core = core;
  }

  async get(): Promise<UserSnapshot | null> {
    checkOpen(this._core);
    return get(this._core, this.id);
  }

  peek(): UserSnapshot | null | undefined {
    return this._core._users.get(this.id)?._user;
  }

  set(params: SetUserParams): Promise<SetUserResult> {
    return this._write(SET, 'setUser', params);
  }

  createIfNotExists(params: CreateUserParams): Promise<CreateUserResult> {
    return this._write(CREATE, 'createUserIfNotExists', params);
  }

  async delete(): Promise<boolean> {
    const { id, _core } = this;
    checkOpen(_core);
    const watch = watchOf(_core, id);
    const taken = watch._taken;
    watch._deletes++;
    try {
      const { deleted } = await request<{ deleted: boolean }>(_core, DELETE, 'deleteUser', { id });
      written(watch, watch._deleted(taken));
      return deleted;
    } finally {
      watch._deletes--;
    }
  }

  subscribe(onSnapshot?: (snapshot: UserSnapshot | null) => void, options?: SubscribeOptions): UserSubscription {
    return this._subscribe(false, new LiveSubscription(onSnapshot, options));
  }

  subscribeOnline(onSnapshot?: (online: UserOnline) => void, options?: SubscribeOptions): Subscription<UserOnline> {
    return this._subscribe(true, new LiveSubscription(onSnapshot, options));
  }

  _subscribe<T>(isOnline: boolean, subscription: LiveSubscription<T>): LiveSubscription<T> {
    checkOpen(this._core);
    subscribe(this._core, this.id, isOnline, subscription as unknown as LiveSubscription<never>);
    return subscription._begun();
  }

  async _write(document: string, field: string, input: object): Promise<SetUserResult> {
    const { id, _core } = this;
    checkOpen(_core);
    const before = watchOf(_core, id);
    before._writes++;
    try {
      const told = await request<SetUserResult>(_core, document, field, { id, input });
      const result = Object.freeze({ ...told, user: readSnapshot(told.user)! });
      const watch = watchOf(_core, id);
      written(watch, watch._answer(result.user));
      return result;
    } finally {
      if (!--before._writes) before._nullInWrite = false;
    }
  }
}

/** A reference to many users: see `UserRefs` in types.ts. */
export class Refs implements UserRefs {
  readonly ids: readonly string[];
  readonly _core: Core;

  constructor(ids: readonly string[], core: Core) {
    this.ids = ids;
    this._core = core;
  }

  async get(): Promise<(UserSnapshot | null)[]> {
    checkOpen(this._core);
    return Promise.all(this.ids.map((id) => get(this._core, id)));
  }

  subscribe(onSnapshot?: (users: UserMap) => void, options?: SubscribeOptions): Subscription<UserMap> {
    checkOpen(this._core);
    return subscribeToMany(this._core, this.ids, onSnapshot, options);
  }
}
