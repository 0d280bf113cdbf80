import { start, stop, type Operation } from './connection.js';
import type { Core } from './core.js';
import { encode } from './documents.js';
import type { UserlineError } from './errors.js';
import { NONSENSE, misunderstood, outOfTime } from './failures.js';

/** Throws `SessionClosed`. */
export function checkOpen({ _closed }: Core): void {
  if (_closed) throw _closed;
}

/**
 * Returns what `read` makes of a field of the answer to a query or a mutation, which is asked again on the next socket if
 * one is lost, in time. What `read` throws says that the answer is none.
 */
export async function request<T, R>(core: Core, document: string, field: string, variables: object, read: (told: T) => R): Promise<R> {
  checkOpen(core);
  return new Promise((resolve, reject) => {
    const connection = core._connections[0]!;
    const fail = (error: UserlineError = misunderstood(NONSENSE)): void => {
      clearTimeout(timer);
      reject(error);
    };
    const operation: Operation = {
      _payload: encode(document, variables),
      _take({ [field]: result }) {
        resolve(read(result as T));
        clearTimeout(timer);
      },
      _fail: fail,
    };
    const timer = setTimeout(() => {
      stop(connection, operation);
      fail(outOfTime(core));
    }, core._timeout);
    start(connection, operation);
  });
}
