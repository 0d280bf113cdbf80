import { readClaims, subjectOf } from './claims.js';
import { makeTab, type Tab } from './tab.js';
import type { WebSocketLike } from './types.js';

/** What this page has of shared sockets, by whose they are. */
const TABS = /* @__PURE__ */ new Map<string, Tab>();
/** How many sockets are full, of those who have so many. */
const FULL = /* @__PURE__ */ new Map<string, number>();

/** What a session has in the place of a socket: its end of one that tabs share. */
export class Port implements WebSocketLike {
  readonly protocol = 'graphql-transport-ws';
  // Who makes a socket sets them at once.
  declare onopen: ((event: never) => void) | null;
  declare onmessage: ((event: never) => void) | null;
  declare onclose: ((event: never) => void) | null;
  declare onerror: ((event: never) => void) | null;
  readonly _url: string;
  _tab: Tab | undefined;
  /** Names it among the ports of all tabs. */
  _key = '';
  /** What it began with, until that is answered. */
  _init = '';
  /** Whether it was closed because nothing was heard of the gateway. */
  _isLost = false;
  /** Lets what comes after it share another socket. */
  _leaveToOthers!: () => void;

  constructor(url: string, protocol: string) {
    this._url = url;
    if (!globalThis.navigator?.locks || !globalThis.BroadcastChannel) return new WebSocket(url, protocol) as unknown as Port;
    queueMicrotask(() => this.onopen?.({} as never));
  }

  send(text: string): void {
    if (!this._tab) {
      // The first message says whose it is.
      this._init = text;
      const token = (JSON.parse(text) as { payload?: { Authorization: string } }).payload?.Authorization;
      const user = subjectOf(readClaims(token));
      const owner = JSON.stringify([this._url, user]);
      const full = FULL.get(owner) ?? 0;
      const name = token && user === undefined ? '' : owner + full;
      this._leaveToOthers = () => FULL.set(owner, full + 1);
      let tab = TABS.get(name);
      if (!tab) {
        tab = makeTab(this._url, name, () => TABS.get(name) === tab && TABS.delete(name));
        if (name) TABS.set(name, tab);
      }
      this._tab = tab;
      tab._enter(this);
    }
    this._tab._up(this._key, text);
  }

  close(): void {
    this._tab?._close(this);
  }

  /** Says, in the turn in which it was closed, that nothing is heard of the gateway, for all that share the socket. */
  terminate(): void {
    this._isLost = true;
  }
}
