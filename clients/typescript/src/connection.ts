import type { Batch } from './batch.js';
import { now, pauseAfter, type Timer } from './clock.js';
import { judge, type Judged } from './closing.js';
import { InvalidInput, ProtocolError, Unauthenticated, type ConnectionTimeout, type UserlineError } from './errors.js';
import { receive, type Operation } from './operation.js';
import type { Tokens } from './tokens.js';
import type { SessionStatus, WebSocketConstructor, WebSocketLike } from './types.js';
import type { Watches } from './watches.js';

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

interface SocketEvent {
  data?: unknown;
  code?: number;
  reason?: string;
  message?: string;
  error?: { code?: unknown };
}

const HANDSHAKE = 10_000;
const TICK = 1000;
const LEAP = 5000;

/** One socket at a time, opened when there is something to do, and again whenever it is lost. */
export class Connection {
  readonly _watches: Watches;
  readonly _around: Surroundings;
  readonly _operations = new Map<string, Operation>();
  readonly _batches = new Set<Batch>();
  /** How many users the gateway watches for them. */
  _watched = 0;
  /** What the gateway said last that a socket may do; before, what gateways did that do not tell. */
  _limits: Limits = { messageBytes: 65_536, subscriptions: 1000, watchedUsers: 5000 };
  /** How many sockets there have been. */
  _sockets = 0;
  _requests = 0;
  _lastKey = 0;
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

  /** Runs an operation, now or when there is a socket. On a closed connection it fails. */
  _start(operation: Operation): void {
    if (this._closed) return operation._fail(this._closed);
    this._operations.set((operation._key = String(++this._lastKey)), operation);
    if (operation._isRequest) this._requests++;
    this._need();
    if (this._isOpen) this._sendOperation(operation);
  }

  /** Ends an operation, and tells the gateway; nothing happens if it is over. */
  _stop(operation: Operation): void {
    if (this._remove(operation) && this._isOpen) this._send({ id: operation._key, type: 'complete' });
  }

  _remove(operation: Operation): boolean {
    const isThere = this._operations.delete(operation._key!);
    if (isThere && operation._isRequest) this._requests--;
    return isThere;
  }

  /** Notes that there is something to do: opens a socket if there is none. */
  _need(): void {
    if (this._closed || this._ticker) return;
    this._now = this._neededAt = now();
    this._wall = Date.now();
    this._ticker = setTimeout(this._tick, TICK);
    this._pause();
  }

  _isNeeded(): boolean {
    return this._requests > 0 || this._watches._isNeeded(this);
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
    if (this._isOpen) this._ask(3);
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
    for (const operation of [...this._operations.values()]) {
      this._remove(operation);
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
      if (this._attempt === attempt) this._ended({ _problem: 'onNeedToken has failed' });
    }
  }

  _open(Socket: WebSocketConstructor): void {
    let socket: WebSocketLike;
    try {
      this._socket = socket = new Socket(this._around._url, 'graphql-transport-ws');
    } catch (error) {
      return this._fail(`No socket can be made for this URL: ${error as string}`);
    }
    this._owner = this._around._tokens._owner;
    let trouble: SocketEvent | undefined;
    const ifCurrent = (handler: (event: SocketEvent) => void) => (event: SocketEvent) => {
      if (this._socket === socket) handler(event);
    };
    socket.onopen = ifCurrent(() => {
      if (socket.protocol) this._showToken('connection_init');
      else this._fail('There is no userline gateway at this URL: it does not speak graphql-transport-ws.');
    });
    socket.onmessage = ifCurrent((event) => this._receive(event.data));
    socket.onerror = ifCurrent((event) => (trouble = event));
    socket.onclose = ifCurrent(({ code = 1006, reason = '' }) => {
      this._detach();
      this._ended(judge(code, reason, trouble?.message, trouble?.error?.code, !!this._sockets));
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
    this._ended({ _problem: 'nothing has come over it' });
  }

  /** Decides what to do after an attempt, or a socket. */
  _ended({ _problem, _hint, _refusal, _fatal, _tokenCode }: Judged): void {
    if (_fatal) return this._watches._fatal(_fatal);
    this._hint = _hint;
    const { _tokens } = this._around;
    if (!_tokenCode) {
      this._problem = _problem;
      // After a pause, also the first time: many may have lost their connections at the same moment.
      this._failures ||= 1;
      if (_refusal) this._watches._refused(_refusal);
    } else if (_tokens._current !== this._shown) this._failures = 0; // there is another one by now
    else {
      if (_tokenCode === 4403) this._refusals++;
      if (!_tokens._onNeed || this._refusals > 1) {
        this._refusals = 0;
        const message = _problem.replace(/^Forbidden: /, '') || 'The token is not good.';
        return this._watches._fatal(new Unauthenticated(message, { code: 'UNAUTHENTICATED' }));
      }
      _tokens._isRejected = true;
      if (this._refusals) this._failures = 0;
    }
    this._pause();
  }

  _fail(message: string): void {
    this._watches._fatal(new ProtocolError(message));
  }

  _receive(text: unknown): void {
    this._quiet = this._deadline = 0;
    let message: { type: unknown; id: string; payload?: { limits?: Partial<Limits> } | null };
    try {
      message = JSON.parse(text as string);
      if (typeof message.type !== 'string') throw text;
    } catch {
      return this._fail('The gateway sent a message that is none.');
    }
    const { type, id, payload } = message;
    if (type === 'ping') this._send({ type: 'pong' });
    else if (type === 'connection_ack') {
      if (!this._isOpen) this._acknowledged(payload?.limits);
    } else if (type === 'next' || type === 'error' || type === 'complete') {
      this._failures = 0;
      const operation = this._operations.get(id);
      if (!operation) return;
      let error: UserlineError | undefined;
      try {
        if (!receive(operation, type, payload)) return;
      } catch (thrown) {
        error = thrown as UserlineError;
      }
      if (type === 'next' && error) this._stop(operation);
      this._remove(operation);
      if (type !== 'next' || error) operation._fail(error);
    }
  }

  _acknowledged(told: Partial<Limits> = {}): void {
    clearTimeout(this._timer);
    this._limits = { ...this._limits, ...told };
    this._isOpen = true;
    this._sockets++;
    this._refusals = this._quiet = this._deadline = 0;
    this._problem = '';
    this._neededAt = now();
    this._around._tokens._count(1);
    this._setStatus('connected');
    this._useToken();
    for (const operation of [...this._operations.values()]) if (this._isOpen) this._sendOperation(operation);
    this._watches._place();
  }

  _sendOperation(operation: Operation): void {
    const text = `{"id":"${operation._key}","type":"subscribe","payload":${operation._payload}}`;
    const most = this._limits.messageBytes;
    if (text.length * 3 > most && new TextEncoder().encode(text).length > most) {
      this._remove(operation);
      operation._fail(new InvalidInput(`This is too much for one message, which may have ${most} bytes.`));
    } else this._socket!.send(text);
  }

  _showToken(type: string): void {
    const token = (this._shown = this._around._tokens._current);
    this._send(token ? { type, payload: { Authorization: `Bearer ${token}` } } : { type });
  }

  _send(message: object): void {
    this._socket!.send(JSON.stringify(message));
  }

  /** Asks the other end for a sign of life, which must come in so many ticks. */
  _ask(ticks: number): void {
    this._deadline = Math.min(this._deadline || Infinity, this._quiet + ticks);
    this._send({ type: 'ping' });
  }

  /** Once a second: finds out that nobody is at the other end, that the machine has slept, and that nothing is to do. */
  _tick = (): void => {
    this._ticker = setTimeout(this._tick, TICK);
    const passed = now() - this._now;
    const onTheWall = Date.now() - this._wall;
    this._now += passed;
    this._wall += onTheWall;
    if (onTheWall - passed > LEAP) {
      this._failures = 0;
      if (this._socket) this._giveUp();
      else this._hurry();
    } else if (this._isOpen) {
      this._quiet++;
      if (this._isNeeded()) this._neededAt = this._now;
      else if (this._now - this._neededAt >= this._around._idleTimeout) return this._reopen();
      if (this._deadline && this._quiet >= this._deadline) this._giveUp();
      else if (passed > TICK + LEAP) this._ask(3);
      else if (!this._deadline && this._quiet >= 5) this._ask(7);
    }
  };
}
