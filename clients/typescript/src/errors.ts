/** Everything that this client throws. `code` names the kind; tell errors apart by it, or by their classes. */
export class UserlineError extends Error {
  readonly code: string = 'UNKNOWN';

  override get name(): string {
    return 'UserlineError';
  }
}

/** The gateway refused. `extensions` is what it said beside the message, its code included. */
export class ServerError extends UserlineError {
  override readonly code: string;
  readonly extensions: Readonly<Record<string, unknown>>;

  constructor(message: string, extensions: Readonly<Record<string, unknown>> = {}) {
    super(message);
    this.extensions = extensions;
    this.code = typeof extensions.code === 'string' ? extensions.code : 'UNKNOWN';
  }

  /** In how many seconds the gateway says to try again, if it does. */
  get retryAfterSeconds(): number | undefined {
    const seconds = this.extensions.retryAfterSeconds;
    return typeof seconds === 'number' && seconds > 0 ? seconds : undefined;
  }

  /** What leads to the details in the gateway's log, if it told. */
  get requestId(): string | undefined {
    const id = this.extensions.requestId;
    return typeof id === 'string' ? id : undefined;
  }
}

/** One thing that is wrong with an input. */
export interface Problem {
  readonly field: string;
  readonly message: string;
}

/** Fields of an input are wrong, all of them in `problems`; nothing was written. */
export class BadUserInput extends ServerError {
  /** The first bad field, if the error is about one. */
  get field(): string | undefined {
    const field = this.extensions.field;
    return typeof field === 'string' ? field : undefined;
  }

  get problems(): readonly Problem[] {
    const { problems } = this.extensions;
    if (Array.isArray(problems)) return problems as Problem[];
    return this.field === undefined ? [] : [{ field: this.field, message: this.message }];
  }
}

/** The user does not exist, and there is no name to create it with; nothing was written. */
export class NameRequired extends BadUserInput {}
/** There is no token, or it is not good. */
export class Unauthenticated extends ServerError {}
/** The token's owner may not do this. */
export class Forbidden extends ServerError {}
/** User tokens may not write users in this deployment. */
export class UserSyncDisabled extends ServerError {}
/** The store did not answer. A write may or may not have been done; all writes are safe to repeat. */
export class StoreUnavailable extends ServerError {}
/** Too many requests, or too much at once; the message names the limit. */
export class RateLimited extends ServerError {}
/** An operation past a limit of the gateway. */
export class OperationTooComplex extends ServerError {}
/** The gateway serves trusted documents only, and this client's are none of them. */
export class DocumentNotTrusted extends ServerError {}
/** The gateway does not know a document by its hash. */
export class PersistedQueryNotFound extends ServerError {}
/** The gateway keeps no documents by their hash. */
export class PersistedQueryNotSupported extends ServerError {}
/** The gateway could not parse a document of this client. */
export class GraphQLParseFailed extends ServerError {}
/** A document of this client does not fit the gateway's schema: their versions are too far apart. */
export class GraphQLValidationFailed extends ServerError {}
/** Something unexpected happened in the gateway; `requestId` leads to its log. */
export class InternalServerError extends ServerError {}

/** An argument is wrong; nothing was sent. */
export class InvalidInput extends UserlineError {
  override readonly code: string = 'INVALID_INPUT';
}

/** No answer came in time. A write may or may not have been done; all writes are safe to repeat. */
export class ConnectionTimeout extends UserlineError {
  override readonly code: string = 'CONNECTION_TIMEOUT';
}

/** No answer came in time, because there is no connection; the message says why. */
export class Disconnected extends ConnectionTimeout {
  override readonly code: string = 'DISCONNECTED';
}

/** The gateway takes no connection for now: it has too many, or is not ready. */
export class ConnectionRefused extends Disconnected {
  override readonly code: string = 'CONNECTION_REFUSED';
  readonly closeCode: number | undefined;

  constructor(message: string, closeCode?: number) {
    super(message);
    this.closeCode = closeCode;
  }
}

/** Client and gateway do not understand each other; `closeCode` is the socket's, if it was closed for that. */
export class ProtocolError extends UserlineError {
  override readonly code: string = 'PROTOCOL_ERROR';
  readonly closeCode: number | undefined;

  constructor(message: string, closeCode?: number) {
    super(message);
    this.closeCode = closeCode;
  }
}

/** More is watched than the sockets of one session may carry. */
export class TooManyWatches extends UserlineError {
  override readonly code: string = 'TOO_MANY_WATCHES';
}

/** The subscription was ended before it had a first snapshot. */
export class SubscriptionEnded extends UserlineError {
  override readonly code: string = 'SUBSCRIPTION_ENDED';
}

/** The session is closed. */
export class SessionClosed extends UserlineError {
  override readonly code: string = 'SESSION_CLOSED';
}

const BY_CODE: Readonly<Record<string, typeof ServerError>> = {
  BAD_USER_INPUT: BadUserInput,
  NAME_REQUIRED: NameRequired,
  UNAUTHENTICATED: Unauthenticated,
  FORBIDDEN: Forbidden,
  USER_SYNC_DISABLED: UserSyncDisabled,
  STORE_UNAVAILABLE: StoreUnavailable,
  RATE_LIMITED: RateLimited,
  OPERATION_TOO_COMPLEX: OperationTooComplex,
  DOCUMENT_NOT_TRUSTED: DocumentNotTrusted,
  PERSISTED_QUERY_NOT_FOUND: PersistedQueryNotFound,
  PERSISTED_QUERY_NOT_SUPPORTED: PersistedQueryNotSupported,
  GRAPHQL_PARSE_FAILED: GraphQLParseFailed,
  GRAPHQL_VALIDATION_FAILED: GraphQLValidationFailed,
  INTERNAL_SERVER_ERROR: InternalServerError,
};

/** Returns the first of a list of GraphQL errors as the class of its code. Throws TypeError if it is no such list. */
export function errorFrom(errors: unknown): ServerError {
  const { message, extensions } = (errors as [{ message: unknown; extensions?: Record<string, unknown> }])[0];
  const code = extensions?.code;
  const Kind = typeof code === 'string' && Object.hasOwn(BY_CODE, code) ? BY_CODE[code]! : ServerError;
  return new Kind(String(message), extensions);
}
