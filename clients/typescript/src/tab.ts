import { makeLeader, type Leader } from './leader.js';
import type { Port } from './port.js';

/** Pages of builds whose tabs say other things to each other have another number, and share nothing. */
const PROTOCOL = 'userline 1 ';
/** How often the leader is asked for a sign of life, in milliseconds, and how often in vain. */
const BEAT = 400;
const MAX_MISSED = 3;

/** What a tab says to the leader: a message of a port, or that it is closed; without a port, it asks for a sign of life. */
export type Up = [tab: string, port?: string, text?: string, isLost?: boolean];
/** What the leader says to a tab: a message for a port, or that it is closed; without a port, that the leader is there. */
export type Down = [port?: string, text?: string, code?: number | undefined, isFull?: boolean];

/** Closes a port whose session comes back at once. */
export const AGAIN: [reason: string, code: number] = ['retry after 0 s', 1012];

/** One tab's part in a socket that tabs share. One of them leads: it has the lock of that name, and the socket. */
export class Tab {
  readonly _id: string = crypto.randomUUID();
  readonly _url: string;
  readonly _name: string;
  readonly _onLeave: () => void;
  readonly _ports = new Map<string, Port>();
  readonly _over = new AbortController();
  /** Fulfilled when this tab has left, and holds its locks no more. */
  readonly _left: Promise<void>;
  _release!: () => void;
  /** Where all tabs speak to the leader, and where the leader speaks to this one. */
  _channel: BroadcastChannel | undefined;
  _inbox: BroadcastChannel | undefined;
  _leader: Leader | undefined;
  _ticker: ReturnType<typeof setInterval> | undefined;
  /** How often in a row the leader was asked for a sign of life: what has come is only seen between two ticks. */
  _missed = 0;
  _lastPort = 0;

  constructor(url: string, key: string, onLeave: () => void) {
    this._url = url;
    this._name = PROTOCOL + key;
    this._onLeave = onLeave;
    this._left = new Promise((resolve) => (this._release = resolve));
    const { signal } = this._over;
    if (!key) this._lead();
    else {
      // The leader waits for this lock, to hear of the end of this tab.
      navigator.locks
        .request(this._lockOf(this._id), () => {
          if (!signal.aborted) this._join();
          return this._left;
        })
        .catch(() => signal.aborted || this._lead()); // where there are locks, but not for this page
    }
  }

  _lockOf(tab: string): string {
    return `${this._name} ${tab}`;
  }

  _join(): void {
    this._channel = new BroadcastChannel(this._name);
    this._channel.onmessage = ({ data }: MessageEvent<Up | 0>) => {
      if (!data) this._restart();
      else this._leader?._take(data);
    };
    this._inbox = new BroadcastChannel(this._lockOf(this._id));
    this._inbox.onmessage = ({ data }: MessageEvent<Down>) => this._hear(data);
    this._ticker = setInterval(() => this._tick(), BEAT);
    this._restart();
    this._compete();
  }

  /** Leads from the moment on when nobody else does; or at once, in the place of somebody who is not heard any more. */
  _compete(steal?: boolean): void {
    let leader: Leader | undefined;
    navigator.locks
      .request(this._name, steal ? { steal } : { signal: this._over.signal }, () => {
        if (this._over.signal.aborted) return;
        leader = this._lead();
        return this._left;
      })
      .catch(() => {
        if (!leader) return;
        // Somebody has taken the lead. Who had stolen the lock waits for it as well, since before.
        leader._end();
        if (this._leader === leader) this._leader = undefined;
        if (!steal) this._compete();
      });
  }

  _lead(): Leader {
    this._leader?._end();
    const leader = (this._leader = makeLeader(this));
    this._channel?.postMessage(0);
    this._restart();
    return leader;
  }

  /** Begins anew with whoever leads now. */
  _restart(): void {
    this._missed = 0;
    for (const [key, port] of [...this._ports]) {
      if (port._init) this._up(key, port._init);
      else this._hear([key, ...AGAIN]);
    }
  }

  _tick(): void {
    if (this._leader) return;
    if (this._missed++ < MAX_MISSED) this._up();
    else {
      this._missed = 0;
      this._compete(true);
    }
  }

  _enter(port: Port): void {
    port._tab = this;
    port._key = `${this._id}.${++this._lastPort}`;
    this._ports.set(port._key, port);
  }

  /** Closes a port at the end of this turn, when it is known why. */
  _close(port: Port): void {
    queueMicrotask(() => {
      if (!this._ports.delete(port._key)) return;
      this._up(port._key, '', port._isLost);
      this._leaveIfEmpty();
    });
  }

  _up(...of: [port?: string, text?: string, isLost?: boolean]): void {
    const message: Up = [this._id, ...of];
    if (this._leader) this._leader._take(message);
    else this._channel?.postMessage(message);
  }

  _hear([key, text, code, isFull]: Down): void {
    this._missed = 0;
    const port = this._ports.get(key!);
    if (!port) return;
    if (code) {
      this._ports.delete(key!);
      if (isFull) port._leaveToOthers();
      port.onclose?.({ code, reason: text } as never);
      this._leaveIfEmpty();
    } else {
      port._init = '';
      port.onmessage?.({ data: text } as never);
    }
  }

  /** Leaves when nothing is shared; a moment later, because who comes back has closed a port and is about to open one. */
  _leaveIfEmpty(): void {
    queueMicrotask(() => this._ports.size || this._leave());
  }

  _leave(): void {
    this._onLeave();
    this._over.abort();
    this._leader?._end();
    this._leader = undefined;
    clearInterval(this._ticker);
    this._channel?.close();
    this._inbox?.close();
    this._release();
  }
}
