import { isNeeded } from './batches.js';
import { now } from './clock.js';
import { detach, giveUp, hurry, pause, reopen, rest, type Connection } from './connection.js';
import { send } from './messages.js';
import { LEAP, TICK } from './numbers.js';

/** Asks the other end for a sign of life, which must come in so many ticks. */
export const ask = (connection: Connection, ticks: number): void => {
  connection._deadline = Math.min(connection._deadline, connection._quiet + ticks);
  send(connection, { type: 'ping' });
};

/** Once a second: finds out that nobody is at the other end, that the machine has slept, and that nothing is to do. */
export const tick = (connection: Connection): void => {
  connection._ticker = setTimeout(() => tick(connection), TICK);
  const at = now();
  const passed = at - connection._lookedAt;
  const ahead = Date.now() - at;
  const leap = ahead - connection._ahead;
  connection._lookedAt = at;
  connection._ahead = ahead;
  if (leap > LEAP) {
    connection._failures = 0;
    if (connection._socket) giveUp(connection);
    else hurry(connection);
  } else if (connection._limits) {
    connection._quiet++;
    connection._core._tokens._renew();
    if (isNeeded(connection)) connection._neededAt = at;
    else if (at - connection._neededAt >= connection._core._idleTimeout) {
      connection._failures = 0;
      return rest(connection, 'idle');
    }
    if (connection._quiet >= connection._deadline) giveUp(connection);
    else if (passed > TICK + LEAP) ask(connection, 3);
    else if (connection._quiet === 5) ask(connection, 7);
  }
};

/** Looks after a connection when the page comes, goes, or is on line again. */
export const turn = (connection: Connection, type: string): void => {
  if (/pagehide|freeze/.test(type)) {
    // The page runs no more, perhaps for a while: leaves no socket that nobody hears.
    if (!connection._ticker) return;
    detach(connection);
    pause(connection, TICK); // by then it has stopped
  } else if (connection._limits) ask(connection, 3);
  else if (connection._isPausing || type === 'online') reopen(connection);
};
