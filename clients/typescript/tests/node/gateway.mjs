// A gateway in memory that does what it should, and misbehaves on cue.
let versions = 1_700_000_000_000;

const snapshotOf = (id, fields) => ({
  id,
  version: String(++versions),
  name: 'Nobody',
  custom: {},
  locale: null,
  effectiveLocale: 'en',
  photoUrl: null,
  role: 'default',
  welcomeMessage: null,
  ...fields,
});

/** The gateway's end of a socket. The client's is `client`. */
class Socket {
  operations = new Map();
  received = [];
  token = undefined;
  isAcknowledged = false;
  isClosed = false;

  constructor(gateway, client) {
    this.gateway = gateway;
    this.client = client;
  }

  /** The operations that this end was asked for, as their variables. */
  get subscribed() {
    return this.received.filter((message) => message.type === 'subscribe');
  }

  get completed() {
    return this.received.filter((message) => message.type === 'complete').map((message) => message.id);
  }

  tell(message) {
    if (!this.isClosed) this.client.onmessage?.({ data: typeof message === 'string' ? message : JSON.stringify(message) });
  }

  next(id, data, errors) {
    this.tell({ id, type: 'next', payload: errors ? { data, errors } : { data } });
  }

  acknowledge() {
    this.isAcknowledged = true;
    this.tell({ type: 'connection_ack', ...(this.gateway.limits && { payload: { limits: this.gateway.limits } }) });
  }

  /** Ends the socket; the client hears of it. */
  close(code = 1006, reason = '') {
    if (this.isClosed) return;
    this.isClosed = true;
    this.operations.clear();
    this.client.onclose?.({ code, reason });
  }

  receive(message) {
    const { gateway } = this;
    this.received.push(message);
    if (gateway.isDeaf) return;
    if (gateway.hook?.(this, message)) return;
    const { id, type, payload } = message;
    if (type === 'connection_init') {
      this.token = payload?.Authorization?.slice(7);
      const refusal = gateway.refuseToken?.(this.token);
      if (refusal) this.close(...refusal);
      else this.acknowledge();
    } else if (type === 'ping') {
      if (payload) this.token = payload.Authorization.slice(7);
      this.tell({ type: 'pong' });
    } else if (type === 'complete') this.operations.delete(id);
    else if (type === 'subscribe') this.run(id, payload);
  }

  run(id, { query, variables }) {
    const { gateway } = this;
    const answer = (data) => {
      this.next(id, data);
      this.tell({ id, type: 'complete' });
    };
    if (query.includes('usersChanged')) {
      this.operations.set(id, new Set(variables.ids));
      const entries = [...new Set(variables.ids)].map((each) => ({ id: each, user: gateway.users.get(each) ?? null }));
      this.next(id, { usersChanged: entries });
    } else if (query.includes('userOnlineChanged')) {
      this.operations.set(id, variables.id);
      const user = gateway.users.get(variables.id) ?? null;
      this.next(id, { userOnlineChanged: { user, isConnected: gateway.online.has(variables.id) } });
    } else if (query.includes('setUser')) {
      const isNew = !gateway.users.has(variables.id);
      answer({ setUser: { user: gateway.set(variables.id, variables.input), created: isNew, changed: true } });
    } else if (query.includes('createUserIfNotExists')) {
      const isNew = !gateway.users.has(variables.id);
      if (isNew) gateway.set(variables.id, variables.input);
      answer({ createUserIfNotExists: { user: gateway.users.get(variables.id), created: isNew } });
    } else if (query.includes('deleteUser')) {
      answer({ deleteUser: { deleted: gateway.delete(variables.id) } });
    } else if (query.includes('app')) {
      answer({ app: { id: 'test', defaultLocale: 'en', roles: [{ name: 'default', settings: { can: ['read'] } }] } });
    }
  }
}

export class Gateway {
  users = new Map();
  online = new Set();
  sockets = [];
  limits = { messageBytes: 1_048_576, subscriptions: 1000, watchedUsers: 5000 };
  /** Takes a message in the place of the gateway if it returns true. */
  hook = undefined;
  /** Returns a close code and a reason for a token that is refused. */
  refuseToken = undefined;
  /** What new sockets meet: 'open', 'closed' (nobody is there), 'silent' (nothing comes), or a close code and a reason. */
  door = 'open';
  isDeaf = false;

  get socket() {
    return this.sockets.at(-1);
  }

  get live() {
    return this.sockets.filter((socket) => !socket.isClosed);
  }

  get subscribed() {
    return this.sockets.flatMap((socket) => socket.subscribed);
  }

  /** The ids of each `usersChanged` that was asked for. */
  get watched() {
    return this.subscribed.map(({ payload }) => payload.variables.ids).filter(Boolean);
  }

  /** What a session is given as its WebSocket. */
  get WebSocket() {
    const gateway = this;
    return class {
      protocol = 'graphql-transport-ws';
      constructor(url, protocol) {
        this.asked = { url, protocol };
        this.end = new Socket(gateway, this);
        gateway.sockets.push(this.end);
        queueMicrotask(() => {
          const { door } = gateway;
          if (this.end.isClosed || door === 'silent') return;
          if (door === 'closed') return this.end.close(1006);
          this.onopen?.({});
          if (Array.isArray(door)) this.end.close(...door);
        });
      }
      send(text) {
        const message = JSON.parse(text);
        queueMicrotask(() => this.end.isClosed || this.end.receive(message));
      }
      close() {
        this.end.isClosed = true;
      }
    };
  }

  set(id, fields) {
    const before = this.users.get(id);
    const custom = { ...before?.custom, ...fields.custom };
    const user = snapshotOf(id, { ...before, ...fields, custom, version: String(++versions) });
    this.users.set(id, user);
    this.changed([id]);
    return user;
  }

  delete(id) {
    const wasThere = this.users.delete(id);
    if (wasThere) this.changed([id]);
    return wasThere;
  }

  /** Puts users there without telling anybody. */
  put(id, fields = {}) {
    const user = snapshotOf(id, { name: id, ...fields });
    this.users.set(id, user);
    return user;
  }

  changed(ids) {
    for (const socket of this.live) {
      for (const [operation, watched] of socket.operations) {
        if (typeof watched === 'string') {
          if (ids.includes(watched)) this.tellOnline(socket, operation, watched);
          continue;
        }
        const entries = ids.filter((id) => watched.has(id)).map((id) => ({ id, user: this.users.get(id) ?? null }));
        if (entries.length) socket.next(operation, { usersChanged: entries });
      }
    }
  }

  setOnline(id, isConnected) {
    if (isConnected) this.online.add(id);
    else this.online.delete(id);
    for (const socket of this.live) {
      for (const [operation, watched] of socket.operations) if (watched === id) this.tellOnline(socket, operation, id);
    }
  }

  tellOnline(socket, operation, id) {
    socket.next(operation, { userOnlineChanged: { user: this.users.get(id) ?? null, isConnected: this.online.has(id) } });
  }

  cut(code, reason) {
    for (const socket of this.live) socket.close(code, reason);
  }
}
