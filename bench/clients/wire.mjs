// A WebSocket whose other end is a function in the same process. What that one takes is counted, and taken off.

let served = 0;

/** Returns the CPU time in microseconds that the process has taken, without that of the servers. */
export const spent = () => {
  const { user, system } = process.cpuUsage();
  return user + system - served;
};

/** Returns a class of sockets; `serve(tell, message)` is called with each message that a client sends. */
export function socketsOf(serve) {
  return class {
    static last;
    readyState = 0;
    protocol;
    listeners = { open: [], message: [], close: [], error: [] };

    constructor(_url, protocol = '') {
      this.protocol = Array.isArray(protocol) ? protocol[0] : protocol;
      this.constructor.last = this;
      queueMicrotask(() => {
        this.readyState = 1;
        this.emit('open', {});
      });
    }

    addEventListener(type, listener) {
      this.listeners[type].push(listener);
    }

    send(text) {
      queueMicrotask(() => {
        const before = spent();
        serve((message) => {
          const answer = JSON.stringify(message);
          queueMicrotask(() => this.tell(answer));
        }, JSON.parse(text));
        served += spent() - before;
      });
    }

    tell(data) {
      this.emit('message', { data });
    }

    emit(type, event) {
      this[`on${type}`]?.(event);
      for (const listener of this.listeners[type]) listener(event);
    }

    close(code = 1000, reason = '') {
      if (this.readyState === 3) return;
      this.readyState = 3;
      queueMicrotask(() => this.emit('close', { code, reason, wasClean: true }));
    }
  };
}

/** The users of a scripted server: each answer is a copy, as from the wire. */
export const userOf = (id, name = id, version = 1) => ({
  id,
  version: String(1_700_000_000_000 + version),
  name,
  custom: { team: 'blue' },
  locale: null,
  effectiveLocale: 'en',
  photoUrl: null,
  role: 'default',
  welcomeMessage: null,
});
