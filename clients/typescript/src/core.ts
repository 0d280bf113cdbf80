import type { Batch } from './batches.js';
import type { Timer } from './clock.js';
import type { Connection } from './connection.js';
import type { UserlineError } from './errors.js';
import type { Tokens } from './tokens.js';
import type { SessionOptions, WebSocketConstructor } from './types.js';
import type { User } from './user.js';
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
  readonly _onError: SessionOptions['onError'];
  /** One, and more when that is full. */
  readonly _connections: Connection[];
  /** What was closed says why. */
  _closed?: UserlineError;

  /** One for each user, as long as somebody or something has it. */
  readonly _users: Map<string, WeakRef<User>>;
  readonly _forgotten: FinalizationRegistry<string>;
  /** Those whom nobody watches any more, but of whom it is remembered what was seen last, so that they do not go back. */
  readonly _idle: Set<Watch>;
  /** Those that nobody uses now, in the order in which they go. */
  readonly _lingering: Set<Watch>;
  _sweeper?: Timer | undefined;
  /** Who waits for a place in a batch. */
  readonly _queue: Set<Watch>;
  /** Batches of which some may not be wanted any more. */
  readonly _toReview: Set<Batch>;
  /** Those who rest before they are tried again, by their timers. */
  readonly _resting: Map<Timer, readonly Watch[]>;

  /** Places the queue at the end of this turn. */
  _schedule(): void;
}
