import type { Batch } from './batches.js';
import type { Timer } from './clock.js';
import type { Connection } from './connection.js';
import type { UserlineError } from './errors.js';
import type { Tokens } from './tokens.js';
import type { WebSocketConstructor } from './types.js';
import type { Watch } from './watch.js';

/** What the parts of a session share. */
export interface Core {
  readonly _url: string;
  /** What makes sockets; without it, streams take their place. */
  readonly _WebSocket: WebSocketConstructor | undefined;
  /** Whether streams may do so where sockets are not let through. */
  readonly _mayStream: boolean;
  readonly _timeout: number;
  readonly _idleTimeout: number;
  readonly _tokens: Tokens;
  /** One, and more when that is full. */
  readonly _connections: Connection[];
  /** What was closed says why. */
  _closed?: UserlineError;

  /** What is watched, or was: one watch for each user, however many subscriptions and gets there are to it. */
  readonly _users: Map<string, Watch>;
  readonly _online: Map<string, Watch>;
  /** Those of users who are not watched, of whom it is remembered what was seen last, so that they do not go back. */
  readonly _idle: Set<Watch>;
  /** Those that nobody uses now, and until when they stay, in the order of that. */
  readonly _lingering: Map<Watch, number>;
  _sweeper?: Timer | undefined;
  /** Who waits for a place in a batch. */
  readonly _queue: Set<Watch>;
  /** Batches of which some may not be wanted any more. */
  readonly _toReview: Set<Batch>;
  /** Of those who rest before they are tried again. */
  readonly _timers: Set<Timer>;

  /** Places the queue at the end of this turn. */
  _schedule(): void;
  _onFatal(error: UserlineError): void;
  _statusChanged(): void;
}
