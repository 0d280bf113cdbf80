/// <reference lib="esnext.disposable" />
import type { UserlineError } from './errors.js';

/** The public half of a user at one moment. It never changes; a changed user is another snapshot. */
export interface UserSnapshot {
  readonly id: string;
  /** Digits, to be compared as a number and otherwise opaque: of two snapshots of a user, the newer one's is greater. */
  readonly version: string;
  readonly name: string;
  readonly custom: Readonly<Record<string, string>>;
  /** `null` stands for the app's default locale. */
  readonly locale: string | null;
  /** The user's locale, or the app's default locale. */
  readonly effectiveLocale: string;
  readonly photoUrl: string | null;
  readonly role: string;
  readonly welcomeMessage: string | null;
}

/** A user, `null` if there is no such user, and whether somebody is connected with a token of it. */
export interface UserOnline {
  readonly user: UserSnapshot | null;
  readonly isConnected: boolean;
}

/** Many users by their ids. */
export type UserMap = ReadonlyMap<string, UserSnapshot | null>;

/** What can be set of a user: left out (or `undefined`) = unchanged, `null` = back to the default, a value = set. */
export interface SetUserParams {
  /** A user always has one, so that it cannot be `null`; required if the user is new. */
  name?: string | undefined;
  /** A patch: a key's string sets it, a key's `null` removes it, `null` in place of all removes all. */
  custom?: Readonly<Record<string, string | null | undefined>> | null | undefined;
  locale?: string | null | undefined;
  photoUrl?: string | null | undefined;
  role?: string | null | undefined;
  welcomeMessage?: string | null | undefined;
  /** One address or many, which replace those that are there. */
  email?: string | readonly string[] | null | undefined;
  /** One number or many, which replace those that are there. */
  phone?: string | readonly string[] | null | undefined;
  /** A patch: `true` registers a token, `null` unregisters it. */
  pushTokens?: Readonly<Record<string, true | null | undefined>> | null | undefined;
}

/** What a user is created with; what is left out or `null` has its default. */
export interface CreateUserParams extends SetUserParams {
  name: string;
}

export interface SetUserResult {
  /** The user as it is now. */
  readonly user: UserSnapshot;
  readonly created: boolean;
  /** Whether anything changed, private fields included. */
  readonly changed: boolean;
}

export interface CreateUserResult {
  /** The user, new or as it was. */
  readonly user: UserSnapshot;
  readonly created: boolean;
}

/** What is configured for everybody. */
export interface App {
  readonly id: string;
  readonly defaultLocale: string;
  /** The settings of each role by its name. There is always `default`. */
  readonly roles: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export interface PendingState {
  readonly type: 'pending';
}
export interface ActiveState<T> {
  readonly type: 'active';
  readonly latestSnapshot: T;
}
export interface UnsubscribedState {
  readonly type: 'unsubscribed';
}
export interface ErrorState {
  readonly type: 'error';
  readonly error: UserlineError;
}
export type SubscriptionState<T> = PendingState | ActiveState<T> | UnsubscribedState | ErrorState;

/**
 * Shows something live: `pending`, then `active`, and at its end `unsubscribed` or `error`. While the network is away
 * the state stays `active`. As an async iterable it gives the current snapshot and those that follow; a reader who is
 * slow misses some in between, never the last one. It throws the error that the subscription ends with.
 */
export interface Subscription<T> extends AsyncIterable<T> {
  /** The same object until it changes. */
  readonly state: SubscriptionState<T>;
  /** Resolves with the first `active` state, rejects if the subscription ends before. */
  readonly connected: Promise<ActiveState<T>>;
  /** Resolves with the last state; never rejects. */
  readonly terminated: Promise<UnsubscribedState | ErrorState>;
  /** Ends it; nothing happens if it has ended. */
  unsubscribe(): void;
}

export type UserSubscription = Subscription<UserSnapshot | null>;

export interface SubscribeOptions {
  /** Aborting it unsubscribes. */
  signal?: AbortSignal | undefined;
}

/** A reference to a user, who may or may not exist. */
export interface UserRef {
  readonly id: string;
  /** Returns the user as it is, `null` if there is none. It costs no request while the user is watched. */
  get(): Promise<UserSnapshot | null>;
  /** Returns what the session has seen last of the user, watched or not, `undefined` if nothing. Nothing is sent. */
  peek(): UserSnapshot | null | undefined;
  /** Patches the user, creating it if there is none (then `name` is required). */
  set(params: SetUserParams): Promise<SetUserResult>;
  /** Creates the user, unless it exists; then it stays as it is, and that is a success. */
  createIfNotExists(params: CreateUserParams): Promise<CreateUserResult>;
  /** Deletes the user, and returns whether there was one. Only servers may, unless the gateway is configured otherwise. */
  delete(): Promise<boolean>;
  /** Watches the user. `onSnapshot` is called with the user as it is now, and after each change. */
  subscribe(onSnapshot?: (snapshot: UserSnapshot | null) => void, options?: SubscribeOptions): UserSubscription;
  /** Watches the user, and whether it is connected. */
  subscribeOnline(onSnapshot?: (online: UserOnline) => void, options?: SubscribeOptions): Subscription<UserOnline>;
}

/** A reference to many users. */
export interface UserRefs {
  readonly ids: readonly string[];
  /** Returns the users in the order of the ids, `null` for those who do not exist. */
  get(): Promise<(UserSnapshot | null)[]>;
  /** Watches the users: `onSnapshot` is called with all of them when all are known, and once for what changes together. */
  subscribe(onSnapshot?: (users: UserMap) => void, options?: SubscribeOptions): Subscription<UserMap>;
}

/**
 * What a session has of a connection: `idle` (none is needed), `connecting`, `connected`, `reconnecting` (it was lost),
 * `failed` (there is no use in trying again, until another token is set or something is asked for), `closed`.
 */
export type SessionStatus = 'idle' | 'connecting' | 'connected' | 'reconnecting' | 'failed' | 'closed';

/** What the session uses of a WebSocket: that of browsers, of Node 22 and newer, and of the package `ws`. */
export interface WebSocketLike {
  readonly protocol: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string): void;
  close(code?: number, reason?: string): void;
}

export type WebSocketConstructor = new (url: string, protocol: string) => WebSocketLike;

export interface SessionOptions {
  /** The gateway's, such as `wss://users.example.com/graphql`. */
  url: string;
  /** Who uses the session; need not be given beside the user's own token. */
  userId?: string | undefined;
  /** A JWT; a gateway that runs open needs none. */
  token?: string | undefined;
  /** Returns a new token: called if there is none, before one expires, and when one is refused. */
  onNeedToken?: (() => string | Promise<string>) | undefined;
  /** Called when there is no use in trying again; all subscriptions and requests have ended with the same error then. */
  onError?: ((error: UserlineError) => void) | undefined;
  /** What makes sockets; by default the platform's own. Where there is none, server-sent events take its place. */
  WebSocket?: WebSocketConstructor | undefined;
  /** Makes a session of its own, in place of the one that others have for the same URL and user. */
  fresh?: boolean | undefined;
  /** After how many milliseconds without an answer a request fails (15,000). */
  timeout?: number | undefined;
  /** How many milliseconds a socket stays open that nothing needs (30,000). */
  idleTimeout?: number | undefined;
}

/**
 * Users behind a gateway. The socket is opened when something needs it, and comes back when it is lost. Its functions can
 * be handed on: they need no `this`.
 */
export interface Session {
  /** The user whose session this is; `null` with a server's token, and if nobody said who it is. */
  readonly currentUser: UserRef | null;
  readonly status: SessionStatus;
  /** Calls back after each change of `status`; returns what ends that. */
  onStatusChange(listener: (status: SessionStatus) => void): () => void;
  /** Returns the reference to a user, the same one each time. Throws `InvalidInput` for an id that no user can have. */
  user(id: string): UserRef;
  /** Returns a reference to many users. Throws `InvalidInput` as `user` does. */
  users(ids: Iterable<string>): UserRefs;
  /**
   * Takes what another session has seen, such as that of a server which has made the page: pairs of an id and a snapshot,
   * or `null`. `peek()` gives it, and what is subscribed to shows it; nothing goes back to a lower version. What is asked
   * for is asked for all the same. At most 2,000 users are kept that nobody watches. Throws `InvalidInput` for what is no
   * snapshot.
   */
  seed(users: Iterable<readonly [string, UserSnapshot | null]>): void;
  /** Returns what is configured for everybody. It is asked for once for each connection. */
  app(): Promise<App>;
  /** Uses this token from now on. Subscriptions notice nothing. */
  setToken(token: string): void;
  /** Connects anew, now. Subscriptions notice nothing. */
  reconnect(): void;
  /** Unsubscribes everything and closes the sockets. A shared session does so when all who asked for it have closed it. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
