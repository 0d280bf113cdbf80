import { makeLeader, type Leader } from './leader.js';
import type { Port } from './port.js';

/** Pages of builds whose tabs say other things to each other have another number, and share nothing. */
const PROTOCOL = 'userline 2 ';
/** How often the leader is asked for a sign of life, in milliseconds, and how often in vain. */
const BEAT = 400;
const MAX_MISSED = 3;

/** What a tab says to the leader, and when: a message of a port, or that it is closed; without a port, it asks for a sign of life. */
export type Up = [tab: string, at: number, port?: string | undefined, text?: string | undefined, isLost?: boolean | undefined];
/** What a leader says to a tab: a message for a port, or that it is closed; without a port, that the leader is there. */
export type Down = [leader: string, port?: string, text?: string, code?: number | undefined, isFull?: boolean | undefined];

/** Closes a port whose session comes back at once. */
export const AGAIN: [reason: string, code: number] = ['retry after 0 s', 1012];

/** One tab's part in a socket that tabs share. One of them leads: it has the lock of that name, and the socket. */
export interface Tab {
  readonly _id: string;
  readonly _url: string;
  /** The name of the lock that a tab has until its end, and of the channel on which the leader speaks to it. */
  _nameOf(tab: string): string;
  _enter(port: Port): void;
  /** Says something to the leader. */
  _up(port?: string, text?: string, isLost?: boolean): void;
  /** Hears something from the leader. */
  _hear(said: Down): void;
  /** Closes a port at the end of this turn, when it is known why. */
  _close(port: Port): void;
}

/** Makes one that shares with the tabs that have the same key, or with nobody if that is empty. */
export function makeTab(url: string, key: string, onLeave: () => void): Tab {
  const name = PROTOCOL + key;
  const ports = new Map<string, Port>();
  const over = new AbortController();
  const { signal } = over;
  let release!: () => void;
  /** Fulfilled when this tab has left, and is to hold no lock any more. */
  const left = new Promise<void>((resolve) => (release = resolve));
  /** Where all tabs speak to the leader, and where the leader speaks to this one. */
  let channel: BroadcastChannel | undefined;
  let inbox: BroadcastChannel | undefined;
  let leader: Leader | undefined;
  let ticker: ReturnType<typeof setInterval> | undefined;
  /** The tab that leads, if that is known. One that hung may not know yet that it does so no more, and is not heard. */
  let leading: string | undefined;
  /** How often in a row the leader was asked for a sign of life: what has come is only seen between two ticks. */
  let missed = 0;
  let lastPort = 0;

  const join = (): void => {
    channel = new BroadcastChannel(name);
    channel.onmessage = ({ data }: MessageEvent<Up | string>) => {
      if (typeof data === 'string') restart(data);
      else leader?._take(data);
    };
    inbox = new BroadcastChannel(tab._nameOf(tab._id));
    inbox.onmessage = ({ data }: MessageEvent<Down>) => tab._hear(data);
    ticker = setInterval(tick, BEAT);
    restart();
    compete();
  };

  /** Leads from the moment on when nobody else does; or at once, in the place of somebody who is not heard any more. */
  const compete = (steal?: boolean): void => {
    let ours: Leader | undefined;
    navigator.locks
      .request(name, steal ? { steal } : { signal }, () => {
        if (signal.aborted) return;
        ours = lead();
        return left;
      })
      .catch(() => {
        if (!ours) return;
        // Somebody has taken the lead. Who had stolen the lock waits for it as well, since before.
        ours._end();
        if (!steal) compete();
        if (leader !== ours) return;
        leader = undefined;
        restart();
      });
  };

  const lead = (): Leader => {
    leader?._end();
    leader = makeLeader(tab);
    channel?.postMessage(tab._id);
    restart(tab._id);
    return leader;
  };

  /** Begins anew with a tab that leads now. */
  const restart = (by?: string): void => {
    missed = 0;
    leading = by;
    for (const [key, port] of [...ports]) {
      if (port._init) tab._up(key, port._init);
      else end(key, port, ...AGAIN);
    }
  };

  const end = (key: string, port: Port, reason: string | undefined, code: number): void => {
    ports.delete(key);
    port.onclose?.({ code, reason } as never);
    leaveIfEmpty();
  };

  const tick = (): void => {
    if (leader) return;
    if (missed++ < MAX_MISSED) tab._up();
    else {
      missed = 0;
      compete(true);
    }
  };

  /** Leaves when nothing is shared; a moment later, because who comes back has closed a port and is about to open one. */
  const leaveIfEmpty = (): void =>
    queueMicrotask(() => {
      if (ports.size) return;
      onLeave();
      over.abort();
      leader?._end();
      leader = undefined;
      clearInterval(ticker);
      channel?.close();
      inbox?.close();
      release();
    });

  const tab: Tab = {
    _id: crypto.randomUUID(),
    _url: url,
    _nameOf: (other) => `${name} ${other}`,
    _enter(port) {
      port._key = `${tab._id}.${++lastPort}`;
      ports.set(port._key, port);
    },
    _up(...what) {
      const said: Up = [tab._id, Date.now(), ...what];
      if (leader) leader._take(said);
      else channel?.postMessage(said);
    },
    _hear([by, key, text, code, isFull]) {
      const port = ports.get(key!);
      leading ??= by;
      if (by !== leading) return;
      missed = 0;
      if (!port) return;
      if (code) {
        leading = undefined; // perhaps not any more
        if (isFull) port._leaveToOthers();
        end(key!, port, text, code);
      } else {
        port._init = '';
        port.onmessage?.({ data: text } as never);
      }
    },
    _close(port) {
      queueMicrotask(() => {
        if (!ports.delete(port._key)) return;
        tab._up(port._key, '', port._isLost);
        leaveIfEmpty();
      });
    },
  };

  if (!key) lead();
  else {
    // The leader waits for this lock, to hear of the end of this tab.
    navigator.locks
      .request(tab._nameOf(tab._id), () => {
        if (!signal.aborted) join();
        return left;
      })
      .catch(() => signal.aborted || lead()); // where there are locks, but not for this page
  }
  return tab;
}
