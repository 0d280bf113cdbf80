import { ProtocolError, UserlineError, errorFrom } from './errors.js';

export type Data = Readonly<Record<string, unknown>>;

/** What travels over a socket. */
export interface Operation {
  /** The id that it has on the wire, never used again. */
  _key?: string;
  /** The payload of its `subscribe` message, encoded. */
  readonly _payload: string;
  /** Whether it has one result. */
  readonly _isRequest: boolean;
  /** Takes a result, and its errors if it has holes. What it throws ends the operation as `_fail` does. */
  _take(data: Data, errors: unknown): void;
  /** Takes that the gateway has ended it, perhaps with the reason. */
  _fail(error: UserlineError | undefined): void;
}

/** Hands a message to its operation; returns whether that is over. Throws the error that it is over with. */
export function receive(operation: Operation, type: string, payload: unknown): boolean {
  try {
    if (type === 'error') throw errorFrom(payload);
    if (type === 'complete') return true;
    const { data, errors } = payload as { data: Data | null; errors?: unknown[] };
    if (!data || (operation._isRequest && errors?.length)) throw errorFrom(errors);
    operation._take(data, errors);
    return operation._isRequest;
  } catch (error) {
    throw error instanceof UserlineError ? error : new ProtocolError(`The gateway sent what is none: ${error as string}`);
  }
}
