import type { Batch } from './batch.js';
import { now, pauseAfter, type Timer } from './clock.js';
import { ended, type SocketEvent } from './closing.js';
import { InvalidInput, ProtocolError, type UserlineError } from './errors.js';
import { TICK, ask, tick } from './liveness.js';
import { Operations, type Operation } from './operation.js';
import type { Limits, Surroundings } from './surroundings.js';
import type { SessionStatus, WebSocketConstructor, WebSocketLike } from './types.js';
import type { Watches } from './watches.js';

type Acknowledgement = { limits?: Partial<Limits> } | null | undefined;

const HANDSHAKE = 10_000;

/** One socket at a time, opened when there is something to do, and again whenever it is lost. */
export class Connection {
  readonly _watches: Watches;
  readonly _around: Surroundings;
  readonly _operations = new Operations();
  readonly _batches = new Set<Batch>();
  /** How many users the gateway watches for them. */
  _watched = 0;
  /** What the gateway said last that a socket may do; before, what gateways did that do not tell. */
  _limits: Limits = { messageBytes: 65_536, subscriptions: 1000, watchedUsers: 5000 };
  /** How many sockets there have been. */
  _sockets = 0;
  /** Why there is no connection, if there is none. */
  _problem = '';
  _status: SessionStatus = 'idle';
  _isOpen = false;
  _closed: UserlineError | undefined;
  _socket: WebSocketLike | undefined;
  /** Of a pause, or of a handshake. */
  _timer: Timer | undefined;
  _ticker: Timer | undefined;
  _isPausing = false;
  _isStreaming = false;
  /** Counts attempts, so that what comes late of one is not taken for the next one's. */
  _attempt = 0;
  _failures = 0;
  _refusals = 0;
  _hint: number | undefined;
  /** The token that the gateway was shown last, and whose the socket is. */
  _shown: string | undefined;
  _owner = '';
  // Ticks since something came, and at which tick the socket is given up: ticks and not seconds, because who was
  // blocked for a while finds what has come meanwhile only afterwards.
  _quiet = 0;
  _deadline = 0;
  _now = 0;
  _wall = 0;
  _neededAt = 0;

  constructor(watches: Watches, around: Surroundings) {
    this._watches = watches;
    this._around = around;
  }

  /** Runs an operation, now or when there is a socket. */
  _start(operation: Operation): void {
    this._operations._add(operation);
    this._need();
    if (this._isOpen) this._sendOperation(operation);
  }

  /** Ends an operation, and tells the gateway; nothing happens if it is over. */
  _stop(operation: Operation): void {
    if (this._operations._remove(operation) && this._isOpen) this._send({ id: operation._key, type: 'complete' });
  }

  /** Notes that there is something to do: opens a socket if there is none. */
  _need(): void {
    if (this._closed || this._ticker) return;
    this._now = this._neededAt = now();
    this._wall = Date.now();
    this._ticker = setTimeout(() => tick(this), TICK);
    this._pause();
  }

  _isNeeded(): boolean {
    return this._operations._requests > 0 || this._watches._isNeeded(this);
  }

  /** Closes the socket, and opens another one if that is needed. */
  _reopen(): void {
    this._failures = 0;
    if (this._socket) {
      this._detach();
      this._pause();
    } else this._hurry();
  }

  /** There is reason to think that the network is back, or that this side was away: looks at once. */
  _wake(isOnline: boolean): void {
    if (this._isOpen) ask(this, 3);
    else if (this._isPausing || isOnline) this._reopen();
  }

  /** Shows the gateway the token that was just set. */
  _useToken(): void {
    this._hurry();
    const { _current, _owner } = this._around._tokens;
    if (!this._isOpen || _current === this._shown) return;
    // A socket keeps its owner.
    if (this._owner === _owner) this._showToken('ping');
    else this._reopen();
  }

  /** Fails all operations under way, and gives up the socket; for ever, if it `isClosed`. */
  _abandon(error: UserlineError, isClosed: boolean): void {
    if (isClosed) this._closed = error;
    this._detach();
    this._rest(isClosed ? 'closed' : 'failed');
    for (const operation of this._operations._all()) {
      this._operations._remove(operation);
      operation._fail(error);
    }
  }

  _setStatus(status: SessionStatus): void {
    this._status = status;
    this._around._statusChanged();
  }

  /** Has no socket and makes none. */
  _rest(status: SessionStatus): void {
    clearTimeout(this._ticker);
    this._ticker = undefined;
    this._isPausing = false;
    this._attempt++;
    this._setStatus(status);
  }

  _pause(): void {
    const pause = this._hint ?? pauseAfter(this._failures);
    this._hint = undefined;
    this._isPausing = true;
    this._attempt++;
    this._setStatus(this._sockets ? 'reconnecting' : 'connecting');
    if (pause) this._timer = setTimeout(() => this._connect(), pause);
    else this._connect();
  }

  _hurry(): void {
    if (this._isPausing) this._connect();
  }

  async _connect(): Promise<void> {
    clearTimeout(this._timer);
    if (!this._isNeeded()) return this._rest('idle');
    this._isPausing = false;
    const attempt = ++this._attempt;
    const { _tokens, _WebSocket, _mayStream } = this._around;
    // Some networks let no sockets through: where none was ever open, every second attempt is one without.
    if (!this._sockets) this._isStreaming = !_WebSocket || (_mayStream && this._failures > 1 && this._failures % 2 < 1);
    this._failures++;
    try {
      if (_tokens._isNeeded) {
        this._problem ||= 'no token has come from onNeedToken';
        await _tokens._ask();
      }
      const Socket = this._isStreaming ? (await import('./stream.js')).StreamSocket : _WebSocket!;
      if (this._attempt === attempt) this._open(Socket);
    } catch {
      if (this._attempt === attempt) ended(this, 0, 'onNeedToken has failed');
    }
  }

  _open(Socket: WebSocketConstructor): void {
    let socket: WebSocketLike;
    try {
      this._socket = socket = new Socket(this._around._url, 'graphql-transport-ws');
    } catch (error) {
      return this._fail(`No socket can be made: ${error as string}`);
    }
    this._owner = this._around._tokens._owner;
    let trouble: SocketEvent = {};
    const ifCurrent = (handler: (event: SocketEvent) => void) => (event: SocketEvent) => {
      if (this._socket === socket) handler(event);
    };
    socket.onopen = ifCurrent(() => {
      if (socket.protocol) this._showToken('connection_init');
      else this._fail('There is no userline gateway at this URL.');
    });
    socket.onmessage = ifCurrent((event) => this._receive(event.data));
    socket.onerror = ifCurrent((event) => (trouble = event));
    socket.onclose = ifCurrent(({ code = 1006, reason = '' }) => {
      this._detach();
      ended(this, code, reason, trouble);
    });
    this._timer = setTimeout(() => this._giveUp(), HANDSHAKE);
  }

  /** Forgets the socket, and closes it. */
  _detach(): void {
    clearTimeout(this._timer);
    const socket = this._socket;
    this._socket = undefined;
    socket?.close(1000);
    if (!this._isOpen) return;
    this._isOpen = false;
    this._around._tokens._count(-1);
    this._watches._lost(this);
  }

  /** Takes it that nobody is at the other end. */
  _giveUp(): void {
    const socket = this._socket as { terminate?: () => void } | undefined;
    this._detach();
    socket?.terminate?.(); // where there is such a thing; otherwise it would wait for an answer
    ended(this, 0, 'nothing has come');
  }

  _fail(message: string, code?: number): void {
    this._watches._fatal(new ProtocolError(message, code));
  }

  _receive(text: unknown): void {
    this._quiet = this._deadline = 0;
    let message: { type: unknown; id: string; payload?: unknown };
    try {
      message = JSON.parse(text as string);
      if (typeof message.type !== 'string') throw text;
    } catch {
      return this._fail('The gateway sent a message that is none.');
    }
    const { type, id, payload } = message;
    if (type === 'ping') this._send({ type: 'pong' });
    if (type === 'connection_ack' && !this._isOpen) this._acknowledged(payload as Acknowledgement);
    if (type !== 'next' && type !== 'error' && type !== 'complete') return;
    this._failures = 0;
    const ended = this._operations._receive(type, id, payload);
    if (ended && this._isOpen) this._send({ id, type: 'complete' });
  }

  _acknowledged(payload: Acknowledgement): void {
    clearTimeout(this._timer);
    this._limits = { ...this._limits, ...payload?.limits };
    this._isOpen = true;
    this._sockets++;
    this._refusals = this._quiet = this._deadline = 0;
    this._problem = '';
    this._neededAt = now();
    this._around._tokens._count(1);
    this._setStatus('connected');
    this._useToken();
    for (const operation of this._operations._all()) if (this._isOpen) this._sendOperation(operation);
    this._watches._place();
  }

  _sendOperation(operation: Operation): void {
    const text = `{"id":"${operation._key}","type":"subscribe","payload":${operation._payload}}`;
    const most = this._limits.messageBytes;
    if (new TextEncoder().encode(text).length > most) {
      this._operations._remove(operation);
      operation._fail(new InvalidInput(`This is too much for one message, of at most ${most} bytes.`));
    } else this._socket!.send(text);
  }

  _showToken(type: string): void {
    const token = (this._shown = this._around._tokens._current);
    this._send(token ? { type, payload: { Authorization: `Bearer ${token}` } } : { type });
  }

  _send(message: object): void {
    this._socket!.send(JSON.stringify(message));
  }
}
