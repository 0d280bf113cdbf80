import { now } from './clock.js';
import { AGAIN, type Down, type Tab, type Up } from './tab.js';

/** After how many milliseconds a tab that is told something but says nothing is forgotten; browsers let one sleep for 60 s. */
const MAX_SILENCE = 150_000;

interface Message {
  id: string;
  type: string;
  payload?: { Authorization?: string; variables?: { ids?: unknown[] }; limits?: Partial<Limits> };
}

interface Limits {
  subscriptions: number;
  watchedUsers: number;
}

/** A tab with which the leader has to do. */
interface Neighbour {
  /** Where it hears; the leader's own tab is told directly. */
  readonly _inbox: BroadcastChannel | false;
  _heardAt: number;
}

/** A port that is served here. */
interface Member {
  readonly _key: string;
  readonly _tab: string;
  /** What it shows the gateway. */
  _token: string | undefined;
  _isIn: boolean;
}

interface Operation {
  readonly _member: Member;
  /** Its id in the messages of the member. */
  readonly _id: string;
  readonly _users: number;
}

/** Has the socket that tabs share, for as long as its own tab leads. */
export class Leader {
  readonly _tab: Tab;
  readonly _neighbours = new Map<string, Neighbour>();
  readonly _members = new Map<string, Member>();
  /** By their ids on the socket, which are never used again. */
  readonly _operations = new Map<string, Operation>();
  readonly _over = new AbortController();
  _socket: WebSocket | undefined;
  _limits: Limits = { subscriptions: 1000, watchedUsers: 5000 };
  /** The gateway's answer to `connection_init`. */
  _acknowledgement = '';
  /** The token that the gateway has taken last. */
  _token: string | undefined;
  /** Whose the pings are that are not answered yet: a member's with a token, or everybody's. */
  _pings: (Member | undefined)[] = [];
  _lastId = 0;

  constructor(tab: Tab) {
    this._tab = tab;
  }

  /** Takes what a tab says. */
  _take([tab, key, text, isLost]: Up): void {
    const member = this._members.get(key!);
    if (this._over.signal.aborted) return;
    this._neighbour(tab)._heardAt = now();
    if (!key) this._post(tab, []);
    else if (text) {
      const message = JSON.parse(text) as Message;
      if (message.type === 'connection_init') {
        const joining = { _key: key, _tab: tab, _token: message.payload?.Authorization, _isIn: false };
        this._members.set(key, joining);
        if (this._acknowledgement) this._admit(joining);
        else if (!this._socket) this._open(joining._token);
      } else if (member) this._say(member, message);
      else this._post(tab, [key, ...AGAIN]);
    } else if (member) {
      this._drop(member);
      // Who gives up an attempt, or a socket of which nothing is heard, does so for all.
      if (isLost || !this._acknowledgement) this._lost(1006);
    }
  }

  _neighbour(id: string): Neighbour {
    let neighbour = this._neighbours.get(id);
    if (neighbour) return neighbour;
    const name = this._tab._lockOf(id);
    const isOther = id !== this._tab._id;
    this._neighbours.set(id, (neighbour = { _inbox: isOther && new BroadcastChannel(name), _heardAt: 0 }));
    if (isOther) {
      // It has the lock until its end.
      const gone = () => this._neighbours.get(id) === neighbour && this._forget(id);
      navigator.locks.request(name, { signal: this._over.signal }, gone).catch(() => 0);
    }
    return neighbour;
  }

  /** Ends what a tab has that is not there any more. */
  _forget(id: string): void {
    this._neighbours.delete(id);
    for (const member of this._members.values()) if (member._tab === id) this._drop(member);
  }

  _post(tab: string, message: Down): void {
    const { _inbox, _heardAt } = this._neighbour(tab);
    if (!_inbox) queueMicrotask(() => this._tab._hear(message));
    else if (now() - _heardAt < MAX_SILENCE) _inbox.postMessage(message);
    else this._forget(tab);
  }

  _tell(member: Member, text: string, code?: number): void {
    this._post(member._tab, [member._key, text, code]);
  }

  _tellAll(text: string): void {
    for (const member of this._members.values()) if (member._isIn) this._tell(member, text);
  }

  _send(message: object): void {
    this._socket!.send(JSON.stringify(message));
  }

  _show(type: string, Authorization: string | undefined): void {
    this._send({ type, payload: Authorization && { Authorization } });
  }

  /** Shows the gateway whose token it has not taken yet, and lets the others in. */
  _admit(member: Member): void {
    if (member._token !== this._token) {
      this._pings.push(member);
      this._show('ping', member._token);
    } else if (!member._isIn) {
      member._isIn = true;
      this._tell(member, this._acknowledgement);
    }
  }

  _say(member: Member, message: Message): void {
    const { id, type, payload } = message;
    if (type === 'ping') {
      if (payload) {
        member._token = payload.Authorization;
        this._admit(member);
      } else {
        this._pings.push(undefined);
        this._send(message);
      }
    } else if (type === 'complete') {
      for (const [wire, { _member, _id }] of this._operations) if (_member === member && _id === id) this._stop(wire);
    } else if (type === 'subscribe') {
      const { subscriptions, watchedUsers } = this._limits;
      const users = payload!.variables!.ids?.length ?? 0;
      let watched = users;
      for (const { _users } of this._operations.values()) watched += _users;
      if (this._members.size > 1 && (this._operations.size >= subscriptions || watched > watchedUsers)) {
        // It gets another socket, with all that it has.
        this._drop(member);
        this._post(member._tab, [member._key, ...AGAIN, true]);
      } else {
        const wire = String(++this._lastId);
        this._operations.set(wire, { _member: member, _id: id, _users: users });
        this._send({ ...message, id: wire });
      }
    }
  }

  _stop(wire: string): void {
    this._operations.delete(wire);
    this._send({ id: wire, type: 'complete' });
  }

  _drop(member: Member): void {
    this._members.delete(member._key);
    for (const [wire, { _member }] of this._operations) if (_member === member) this._stop(wire);
    if (!this._members.size) this._close();
  }

  _open(token: string | undefined): void {
    const socket = (this._socket = new WebSocket(this._tab._url, 'graphql-transport-ws'));
    this._token = token;
    this._pings = [];
    socket.onopen = () => this._show('connection_init', token);
    socket.onmessage = ({ data }) => this._receive(data as string);
    socket.onclose = ({ code, reason }) => this._lost(code, reason);
  }

  _close(): void {
    const socket = this._socket;
    this._socket = undefined;
    this._acknowledgement = '';
    this._operations.clear();
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(1000);
  }

  _receive(text: string): void {
    // As the gateway writes what is large, the rest of which is of no interest here.
    const [start, wire, kind] = /^{"id":"(\d+)","type":"(\w+)"/.exec(text) ?? [];
    if (start) {
      const operation = this._operations.get(wire!);
      if (!operation) return;
      if (kind !== 'next') this._operations.delete(wire!);
      return this._tell(operation._member, `{"id":${JSON.stringify(operation._id)},"type":"${kind}"${text.slice(start.length)}`);
    }
    let message: Partial<Message> = {};
    try {
      message = JSON.parse(text);
    } catch {
      // It is none, which is for the members to judge.
    }
    const { id, type, payload } = message;
    if (this._operations.has(id!)) this._receive(JSON.stringify({ id, type, payload }));
    else if (type === 'ping') this._send({ type: 'pong' });
    else if (type === 'connection_ack') {
      this._acknowledgement = text;
      Object.assign(this._limits, payload?.limits);
      for (const member of this._members.values()) this._admit(member);
    } else if (type === 'pong') {
      const member = this._pings.shift();
      if (!member) return this._tellAll(text); // a sign of life is one for all
      this._token = member._token;
      if (this._members.has(member._key)) this._admit(member);
    } else if (id === undefined) this._tellAll(text);
  }

  /** Tells all that the socket is no more. Those with another token than the one that was refused come back at once. */
  _lost(code: number, reason = ''): void {
    const members = [...this._members.values()];
    const refused = code === 4403 ? (this._pings.find(Boolean) ?? this) : code === 4410 && this;
    this._members.clear();
    this._close();
    for (const member of members) {
      if (refused && refused._token !== member._token) this._tell(member, ...AGAIN);
      else this._tell(member, reason, code);
    }
  }

  /** Leads no more. */
  _end(): void {
    if (this._tab._leader === this) this._tab._leader = undefined;
    this._lost(AGAIN[1], AGAIN[0]);
    this._over.abort();
  }
}
