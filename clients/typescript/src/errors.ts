/** Everything that this client throws. `code` names the kind; tell errors apart by it, or by `instanceof` the kinds below. */
export class UserlineError extends Error {
  declare readonly code: string;

  constructor(code: string, message?: string, more?: object) {
    super(message);
    Object.assign(this, more, { code });
  }

  override get name(): string {
    return 'UserlineError';
  }
}

/** Makes errors of one kind, and knows them: all of its code, whoever has made them. */
export interface Kind<T extends UserlineError> {
  new (message?: string): T;
  readonly prototype: T;
  [Symbol.hasInstance](error: unknown): error is T;
}

// A bundler leaves out the kinds that an application does not name.
const kind = <T extends UserlineError>(code: string, ...alike: string[]): Kind<T> =>
  class extends UserlineError {
    constructor(message?: string) {
      super(code, message);
    }

    static override [Symbol.hasInstance](error: unknown): error is T {
      return error instanceof UserlineError && [code, ...alike].includes(error.code);
    }
  } as unknown as Kind<T>;

/** The gateway refused. */
export interface ServerError extends UserlineError {
  /** What it said beside the message, its code included. */
  readonly extensions: Readonly<Record<string, unknown>>;
  /** In how many seconds the gateway says to try again, if it does. */
  readonly retryAfterSeconds?: number | undefined;
  /** What leads to the details in the gateway's log, if it told. */
  readonly requestId?: string | undefined;
}
export const ServerError = /* @__PURE__ */ (() =>
  class extends UserlineError {
    static override [Symbol.hasInstance](error: unknown): error is ServerError {
      return error instanceof UserlineError && 'extensions' in error;
    }
  } as unknown as Kind<ServerError>)();

/** One thing that is wrong with an input. */
export interface Problem {
  readonly field: string;
  readonly message: string;
}

/** Fields of an input are wrong, all of them in `problems`; nothing was written. */
export interface BadUserInput extends ServerError {
  /** The first bad field, if the error is about one. */
  readonly field?: string | undefined;
  readonly problems: readonly Problem[];
}
export const BadUserInput = /* @__PURE__ */ kind<BadUserInput>('BAD_USER_INPUT', 'NAME_REQUIRED');

/** The user does not exist, and there is no name to create it with; nothing was written. */
export interface NameRequired extends BadUserInput {}
export const NameRequired = /* @__PURE__ */ kind<NameRequired>('NAME_REQUIRED');

/** There is no token, or it is not good. */
export interface Unauthenticated extends ServerError {}
export const Unauthenticated = /* @__PURE__ */ kind<Unauthenticated>('UNAUTHENTICATED');

/** The token's owner may not do this. */
export interface Forbidden extends ServerError {}
export const Forbidden = /* @__PURE__ */ kind<Forbidden>('FORBIDDEN');

/** User tokens may not write users in this deployment. */
export interface UserSyncDisabled extends ServerError {}
export const UserSyncDisabled = /* @__PURE__ */ kind<UserSyncDisabled>('USER_SYNC_DISABLED');

/** The store did not answer. A write may or may not have been done; all writes are safe to repeat. */
export interface StoreUnavailable extends ServerError {}
export const StoreUnavailable = /* @__PURE__ */ kind<StoreUnavailable>('STORE_UNAVAILABLE');

/** Too many requests, or too much at once; the message names the limit. */
export interface RateLimited extends ServerError {}
export const RateLimited = /* @__PURE__ */ kind<RateLimited>('RATE_LIMITED');

/** An operation past a limit of the gateway. */
export interface OperationTooComplex extends ServerError {}
export const OperationTooComplex = /* @__PURE__ */ kind<OperationTooComplex>('OPERATION_TOO_COMPLEX');

/** The gateway serves trusted documents only, and this client's are none of them. */
export interface DocumentNotTrusted extends ServerError {}
export const DocumentNotTrusted = /* @__PURE__ */ kind<DocumentNotTrusted>('DOCUMENT_NOT_TRUSTED');

/** The gateway does not know a document by its hash. */
export interface PersistedQueryNotFound extends ServerError {}
export const PersistedQueryNotFound = /* @__PURE__ */ kind<PersistedQueryNotFound>('PERSISTED_QUERY_NOT_FOUND');

/** The gateway keeps no documents by their hash. */
export interface PersistedQueryNotSupported extends ServerError {}
export const PersistedQueryNotSupported = /* @__PURE__ */ kind<PersistedQueryNotSupported>('PERSISTED_QUERY_NOT_SUPPORTED');

/** The gateway could not parse a document of this client. */
export interface GraphQLParseFailed extends ServerError {}
export const GraphQLParseFailed = /* @__PURE__ */ kind<GraphQLParseFailed>('GRAPHQL_PARSE_FAILED');

/** A document of this client does not fit the gateway's schema: their versions are too far apart. */
export interface GraphQLValidationFailed extends ServerError {}
export const GraphQLValidationFailed = /* @__PURE__ */ kind<GraphQLValidationFailed>('GRAPHQL_VALIDATION_FAILED');

/** Something unexpected happened in the gateway; `requestId` leads to its log. */
export interface InternalServerError extends ServerError {}
export const InternalServerError = /* @__PURE__ */ kind<InternalServerError>('INTERNAL_SERVER_ERROR');

/** An argument is wrong; nothing was sent. */
export interface InvalidInput extends UserlineError {}
export const InvalidInput = /* @__PURE__ */ kind<InvalidInput>('INVALID_INPUT');

/** No answer came in time. A write may or may not have been done; all writes are safe to repeat. */
export interface ConnectionTimeout extends UserlineError {}
export const ConnectionTimeout = /* @__PURE__ */ kind<ConnectionTimeout>('CONNECTION_TIMEOUT', 'DISCONNECTED', 'CONNECTION_REFUSED');

/** No answer came in time, because there is no connection; the message says why. */
export interface Disconnected extends ConnectionTimeout {}
export const Disconnected = /* @__PURE__ */ kind<Disconnected>('DISCONNECTED', 'CONNECTION_REFUSED');

/** The gateway takes no connection for now: it has too many, or is not ready. `closeCode` is the socket's. */
export interface ConnectionRefused extends Disconnected {
  readonly closeCode?: number | undefined;
}
export const ConnectionRefused = /* @__PURE__ */ kind<ConnectionRefused>('CONNECTION_REFUSED');

/** Client and gateway do not understand each other; `closeCode` is the socket's, if it was closed for that. */
export interface ProtocolError extends UserlineError {
  readonly closeCode?: number | undefined;
}
export const ProtocolError = /* @__PURE__ */ kind<ProtocolError>('PROTOCOL_ERROR');

/** More is watched than the sockets of one session may carry. */
export interface TooManyWatches extends UserlineError {}
export const TooManyWatches = /* @__PURE__ */ kind<TooManyWatches>('TOO_MANY_WATCHES');

/** The subscription was ended before it had a first snapshot. */
export interface SubscriptionEnded extends UserlineError {}
export const SubscriptionEnded = /* @__PURE__ */ kind<SubscriptionEnded>('SUBSCRIPTION_ENDED');

/** The session is closed. */
export interface SessionClosed extends UserlineError {}
export const SessionClosed = /* @__PURE__ */ kind<SessionClosed>('SESSION_CLOSED');
