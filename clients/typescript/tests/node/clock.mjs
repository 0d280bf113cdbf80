// A clock that stands still until a test moves it on: timers, the monotonic clock and the one on the wall.
const real = { setTimeout, clearTimeout, now: performance.now, date: Date.now };
const immediately = setImmediate;

/** Lets everything happen that does not wait for the time. */
export const settle = async () => {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => immediately(resolve));
};

export class FakeClock {
  time = 1000;
  wall = 1_800_000_000_000;
  timers = new Map();
  last = 0;

  install() {
    globalThis.setTimeout = (callback, ms = 0) => {
      this.timers.set(++this.last, { at: this.time + Math.max(ms, 0), callback });
      return this.last;
    };
    globalThis.clearTimeout = (id) => this.timers.delete(id);
    performance.now = () => this.time;
    Date.now = () => this.wall;
    return this;
  }

  uninstall() {
    Object.assign(globalThis, { setTimeout: real.setTimeout, clearTimeout: real.clearTimeout });
    performance.now = real.now;
    Date.now = real.date;
  }

  /** Moves on, and lets the timers go off in their order. */
  async advance(ms) {
    const end = this.time + ms;
    await settle();
    for (;;) {
      let next;
      for (const [id, timer] of this.timers) if (timer.at <= end && !(next && next.timer.at <= timer.at)) next = { id, timer };
      if (!next) break;
      this.timers.delete(next.id);
      this.move(Math.max(next.timer.at - this.time, 0));
      next.timer.callback();
      await settle();
    }
    this.move(end - this.time);
  }

  /** Moves on without letting timers go off: this side stands still. */
  move(ms) {
    this.time += ms;
    this.wall += ms;
  }

  /** The machine sleeps: the clock on the wall goes on alone. */
  sleep(ms) {
    this.wall += ms;
  }
}
