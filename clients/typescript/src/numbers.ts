// What this client goes by. A file that imports nothing: builds put the values where they are used.

/** How many milliseconds timers wait at most, about: one that is to wait for longer goes off at once. */
export const MAX_DELAY = 2e9;

/** How many milliseconds a user stays watched after the last use. */
export const LINGER = 30_000;
/** How many users may that nobody uses now, and of how many who are not watched it is remembered what was seen last. */
export const MAX_UNUSED = 2000;

/** How many users one operation may watch. */
export const MAX_IDS = 1000;
/** With more operations than that on a socket, those of at most so many users are put together. */
export const MAX_BATCHES = 64;
export const SMALL = 500;
/** How many sockets a session may have. */
export const MAX_SOCKETS = 32;

/** After how many milliseconds a socket is given up over which the gateway has not let this side in. */
export const HANDSHAKE = 10_000;
/** How many milliseconds there are between two looks at a connection, and by how many a clock leaps. */
export const TICK = 1000;
export const LEAP = 5000;
