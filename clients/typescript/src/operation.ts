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

/** The operations under way, in the order in which they were added. */
export class Operations {
  readonly _byKey = new Map<string, Operation>();
  /** How many of them are requests. */
  _requests = 0;
  _lastKey = 0;

  _add(operation: Operation): void {
    this._byKey.set((operation._key = String(++this._lastKey)), operation);
    if (operation._isRequest) this._requests++;
  }

  /** Removes an operation; returns whether it was there. */
  _remove(operation: Operation): boolean {
    const isThere = this._byKey.delete(operation._key!);
    if (isThere && operation._isRequest) this._requests--;
    return isThere;
  }

  _all(): Operation[] {
    return [...this._byKey.values()];
  }

  /** Hands a message to its operation; returns whether that is over for this side alone. */
  _receive(type: 'next' | 'error' | 'complete', key: string, payload: unknown): boolean {
    const operation = this._byKey.get(key);
    let error: UserlineError | undefined;
    if (!operation) return false;
    try {
      if (type === 'error') throw errorFrom(payload);
      if (type === 'next') {
        const { data, errors } = payload as { data: Data | null; errors?: unknown[] };
        if (!data || (operation._isRequest && errors?.length)) throw errorFrom(errors);
        operation._take(data, errors);
        if (operation._isRequest) this._remove(operation);
        return false;
      }
    } catch (thrown) {
      error = thrown instanceof UserlineError ? thrown : new ProtocolError(`The gateway sent what is none: ${thrown as string}`);
    }
    const isThere = this._remove(operation);
    operation._fail(error);
    return isThere && type === 'next';
  }
}
