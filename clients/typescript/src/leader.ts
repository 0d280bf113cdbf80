import { AGAIN, type Down, type Tab, type Up } from './tab.js';

/** After how many milliseconds a tab that is told something but says nothing is forgotten; browsers let one sleep for 60 s. */
const MAX_SILENCE = 150_000;

/** After how many milliseconds what a tab says comes too late: sooner than another tab takes the lead of one that hangs. */
const LATE = 1000;

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
  readonly _inbox: BroadcastChannel | undefined;
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
export interface Leader {
  /** Takes what a tab says. */
  _take(said: Up): void;
  /** Leads no more. */
  _end(): void;
}

export function makeLeader(own: Tab): Leader {
  const neighbours = new Map<string, Neighbour>();
  const members = new Map<string, Member>();
  /** By their ids on the socket, which are never used again. */
  const operations = new Map<string, Operation>();
  const over = new AbortController();
  const limits: Limits = { subscriptions: 1000, watchedUsers: 5000 };
  let socket: WebSocket | undefined;
  /** The gateway's answer to `connection_init`. */
  let acknowledgement = '';
  /** The token that the gateway has taken last. */
  let token: string | undefined;
  /** Whose the pings are that are not answered yet: a member's with a token, or everybody's. */
  let pings: (Member | undefined)[] = [];
  let lastId = 0;
  /** What was said before came late, and is not taken. */
  let since = 0;

  const neighbourOf = (id: string): Neighbour => {
    let neighbour = neighbours.get(id);
    if (neighbour) return neighbour;
    const name = own._nameOf(id);
    const isOther = id !== own._id;
    neighbours.set(id, (neighbour = { _inbox: isOther ? new BroadcastChannel(name) : undefined, _heardAt: 0 }));
    if (isOther) {
      // It has the lock until its end.
      const gone = () => neighbours.get(id) === neighbour && forget(id);
      navigator.locks.request(name, { signal: over.signal }, gone).catch(() => 0);
    }
    return neighbour;
  };

  /** Ends what a tab has that is not there any more. */
  const forget = (id: string): void => {
    neighbourOf(id)._inbox?.close();
    neighbours.delete(id);
    for (const member of members.values()) if (member._tab === id) drop(member);
  };

  const post = (id: string, ...what: [port?: string, text?: string, code?: number, isFull?: boolean]): void => {
    const { _inbox, _heardAt } = neighbourOf(id);
    const message: Down = [own._id, ...what];
    if (!_inbox) queueMicrotask(() => own._hear(message));
    else if (Date.now() - _heardAt < MAX_SILENCE) _inbox.postMessage(message);
    else forget(id);
  };

  const tell = ({ _tab, _key }: Member, ...what: [text: string, code?: number, isFull?: boolean]): void => post(_tab, _key, ...what);

  const tellAll = (text: string): void => {
    for (const member of members.values()) if (member._isIn) tell(member, text);
  };

  const send = (message: object): void => socket!.send(JSON.stringify(message));

  const show = (type: string, Authorization: string | undefined): void => send({ type, payload: Authorization && { Authorization } });

  /** Shows the gateway whose token it has not taken yet, and lets the others in. */
  const admit = (member: Member): void => {
    if (member._token !== token) {
      pings.push(member);
      show('ping', member._token);
    } else if (!member._isIn) {
      member._isIn = true;
      tell(member, acknowledgement);
    }
  };

  const stop = (id: string): void => {
    operations.delete(id);
    send({ id, type: 'complete' });
  };

  const drop = (member: Member): void => {
    members.delete(member._key);
    for (const [id, { _member }] of operations) if (_member === member) stop(id);
    if (!members.size) close();
  };

  const close = (): void => {
    const old = socket;
    socket = undefined;
    acknowledgement = '';
    operations.clear();
    if (!old) return;
    old.onopen = old.onmessage = old.onclose = null;
    old.close(1000);
  };

  /** Tells all that the socket is no more. Those with another token than the one that was refused come back at once. */
  const lost = (reason: string, code: number): void => {
    const isRefused = code === 4403 || code === 4410;
    const pinging = code === 4403 && pings.find(Boolean);
    const refused = pinging ? pinging._token : token;
    const all = [...members.values()];
    members.clear();
    close();
    for (const member of all) {
      if (isRefused && member._token !== refused) tell(member, ...AGAIN);
      else tell(member, reason, code);
    }
  };

  const open = (shown: string | undefined): void => {
    token = shown;
    pings = [];
    try {
      socket = new WebSocket(own._url, 'graphql-transport-ws');
      socket.onopen = () => show('connection_init', shown);
      socket.onmessage = ({ data }) => receive(data as string);
      socket.onclose = ({ code, reason }) => lost(reason, code);
    } catch (error) {
      lost(String(error), 4400); // there is no use in trying again
    }
  };

  const receive = (text: string): void => {
    // As the gateway writes what is large, the rest of which is of no interest here.
    const [start, wire, kind] = /^{"id":"(\d+)","type":"(\w+)"/.exec(text) ?? [];
    if (start) {
      const operation = operations.get(wire!);
      if (!operation) return;
      if (kind !== 'next') operations.delete(wire!);
      return tell(operation._member, `{"id":${JSON.stringify(operation._id)},"type":"${kind}"${text.slice(start.length)}`);
    }
    let message: Partial<Message> = {};
    try {
      message = JSON.parse(text);
    } catch {
      // It is none, which is for the members to judge.
    }
    const { id, type, payload } = message;
    if (operations.has(id!)) receive(JSON.stringify({ id, type, payload }));
    else if (type === 'ping') send({ type: 'pong' });
    else if (type === 'connection_ack') {
      acknowledgement = text;
      Object.assign(limits, payload?.limits);
      members.forEach(admit);
    } else if (type === 'pong') {
      const member = pings.shift();
      if (!member) return tellAll(text); // a sign of life is one for all
      token = member._token;
      if (members.has(member._key)) admit(member);
    } else if (id === undefined) tellAll(text);
  };

  /** Sends what a member has to say. */
  const relay = (member: Member, message: Message): void => {
    const { id, type, payload } = message;
    if (type === 'ping') {
      if (payload) {
        member._token = payload.Authorization;
        admit(member);
      } else {
        pings.push(undefined);
        send(message);
      }
    } else if (type === 'complete') {
      for (const [wire, { _member, _id }] of operations) if (_member === member && _id === id) stop(wire);
    } else {
      const users = payload!.variables!.ids?.length ?? 0;
      let watched = users;
      for (const { _users } of operations.values()) watched += _users;
      if (members.size > 1 && (operations.size >= limits.subscriptions || watched > limits.watchedUsers)) {
        // It gets another socket, with all that it has.
        drop(member);
        tell(member, ...AGAIN, true);
      } else {
        const wire = String(++lastId);
        operations.set(wire, { _member: member, _id: id, _users: users });
        send({ ...message, id: wire });
      }
    }
  };

  return {
    _take([tab, at, key, text, isLost]) {
      if (over.signal.aborted) return;
      // Perhaps this tab has hung, and leads no more: what was said meanwhile was said to somebody else, too.
      if (at > since && Date.now() - at > LATE) {
        since = Date.now();
        lost(...AGAIN);
      }
      const member = members.get(key!);
      neighbourOf(tab)._heardAt = at;
      if (!key) post(tab);
      else if (text) {
        const message = JSON.parse(text) as Message;
        if (message.type === 'connection_init' && at >= since) {
          const joining = { _key: key, _tab: tab, _token: message.payload?.Authorization, _isIn: false };
          members.set(key, joining);
          if (acknowledgement) admit(joining);
          else if (!socket) open(joining._token);
        } else if (member) relay(member, message);
        else post(tab, key, ...AGAIN);
      } else if (member) {
        drop(member);
        // Who gives up an attempt, or a socket of which nothing is heard, does so for all.
        if (isLost || !acknowledgement) lost('', 1006);
      }
    },
    _end() {
      lost(...AGAIN);
      over.abort();
      // A page that is kept for going back is thrown away when a message comes, even if nobody listens.
      for (const { _inbox } of neighbours.values()) _inbox?.close();
    },
  };
}
