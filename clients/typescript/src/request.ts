import type { Timer } from './clock.js';
import { start, stop, type Operation } from './connection.js';
import type { Core } from './core.js';
import { encode } from './documents.js';
import { NONSENSE, misunderstood, outOfTime } from './failures.js';

/** Throws `SessionClosed`. */
export const checkOpen = ({ _closed }: Core): void => {
  if (_closed) throw _closed;
};

/**
 * Returns what `read` makes of the answer to a query or a mutation, which is asked again on the next socket if
 * one is lost, in time. What `read` throws says that the answer is none.
 */
export const request = <T, R>(core: Core, document: string, variables: object, read: (told: T) => R): Promise<R> => {
  let timer: Timer | undefined;
  const answer = new Promise<R>((resolve, reject) => {
    checkOpen(core);
    const connection = core._connections[0]!;
    const operation: Operation = {
      _payload: encode(document, variables),
      _take: (told) => resolve(read(told as T)),
      _fail: (error = misunderstood(NONSENSE)) => reject(error),
    };
    timer = setTimeout(() => {
      stop(connection, operation);
      reject(outOfTime(core));
    }, core._timeout);
    start(connection, operation);
  });
  return answer.finally(() => clearTimeout(timer));
};
