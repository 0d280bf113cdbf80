import { now } from './clock.js';
import type { Connection } from './connection.js';

export const TICK = 1000;
const LEAP = 5000;

/** Asks the other end for a sign of life, which must come in so many ticks. */
export function ask(connection: Connection, ticks: number): void {
  connection._deadline = Math.min(connection._deadline || Infinity, connection._quiet + ticks);
  connection._send({ type: 'ping' });
}

/** Once a second: finds out that nobody is at the other end, that the machine has slept, and that nothing is to do. */
export function tick(connection: Connection): void {
  connection._ticker = setTimeout(() => tick(connection), TICK);
  const passed = now() - connection._now;
  const onTheWall = Date.now() - connection._wall;
  connection._now += passed;
  connection._wall += onTheWall;
  if (onTheWall - passed > LEAP) {
    connection._failures = 0;
    if (connection._socket) connection._giveUp();
    else connection._hurry();
  } else if (connection._isOpen) {
    connection._quiet++;
    if (connection._isNeeded()) connection._neededAt = connection._now;
    else if (connection._now - connection._neededAt >= connection._around._idleTimeout) return connection._reopen();
    if (connection._deadline && connection._quiet >= connection._deadline) connection._giveUp();
    else if (passed > TICK + LEAP) ask(connection, 3);
    else if (!connection._deadline && connection._quiet >= 5) ask(connection, 7);
  }
}
