import type { Core } from './core.js';
import { UserlineError, type ServerError } from './errors.js';

// The errors that the client makes itself, without their kinds, which only those carry who name them.

export const invalid = (message: string): UserlineError => new UserlineError('INVALID_INPUT', message);

export const misunderstood = (message: string, closeCode?: number): UserlineError =>
  new UserlineError('PROTOCOL_ERROR', message, { closeCode });

/** What is said of what cannot be understood. */
export const NONSENSE = 'The gateway sent nonsense';

/** The error of what was not answered, perhaps because there is no connection. */
export const outOfTime = ({ _connections: [main] }: Core): UserlineError => {
  return main!._limits
    ? new UserlineError('CONNECTION_TIMEOUT', 'No answer in time.')
    : new UserlineError('DISCONNECTED', main!._problem || 'No connection in time.');
};

/** Returns the first of a list of GraphQL errors. Throws TypeError if it is no such list. */
export const errorFrom = (errors: unknown): UserlineError & Partial<ServerError> => {
  const [error] = errors as [{ message: string; extensions?: Record<string, unknown> }];
  const extensions = error.extensions ?? {};
  const { code, field, problems = [], requestId, retryAfterSeconds } = extensions;
  return new UserlineError(typeof code === 'string' ? code : 'UNKNOWN', error.message, {
    extensions,
    field,
    problems,
    requestId,
    retryAfterSeconds,
  });
};
