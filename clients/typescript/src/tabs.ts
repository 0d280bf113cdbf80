import { Port } from './port.js';
import type { WebSocketConstructor } from './types.js';

/**
 * Takes the place of `WebSocket` in `createSession({ url, WebSocket: SharedWebSocket })`: all tabs of an origin that act
 * for the same user use one socket, which one of them holds, and another one as soon as that is gone. Where tabs cannot
 * hear each other (no Web Locks, no BroadcastChannel, a token that does not say whose it is), each has its own.
 */
export const SharedWebSocket: WebSocketConstructor = Port;
