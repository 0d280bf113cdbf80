import type { ConnectionTimeout, UserlineError } from './errors.js';
import type { Tokens } from './tokens.js';
import type { WebSocketConstructor } from './types.js';

/** What the gateway lets one socket do. */
export interface Limits {
  readonly messageBytes: number;
  readonly subscriptions: number;
  readonly watchedUsers: number;
}

/** What the connections of a session share. */
export interface Surroundings {
  readonly _url: string;
  /** What makes sockets; without it, streams take their place. */
  readonly _WebSocket: WebSocketConstructor | undefined;
  /** Whether streams may do so where sockets are not let through. */
  readonly _mayStream: boolean;
  readonly _tokens: Tokens;
  readonly _timeout: number;
  readonly _idleTimeout: number;
  /** The error of what was not answered in time. */
  _outOfTime(): ConnectionTimeout;
  _onFatal(error: UserlineError): void;
  _statusChanged(): void;
}
