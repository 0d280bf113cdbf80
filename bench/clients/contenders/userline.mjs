// The TypeScript client of this project: one operation watches many users.
import { createSession } from '../../../clients/typescript/dist/index.js';
import { socketsOf, userOf } from '../wire.mjs';

export function open() {
  const operations = new Map();
  const Socket = socketsOf((tell, { id, type, payload }) => {
    if (type === 'connection_init') {
      tell({ type: 'connection_ack', payload: { limits: { messageBytes: 1_048_576, subscriptions: 1000, watchedUsers: 100_000 } } });
    } else if (type === 'subscribe') {
      const { ids } = payload.variables;
      for (const user of ids) operations.set(user, id);
      tell({ id, type: 'next', payload: { data: { usersChanged: ids.map((user) => ({ id: user, user: userOf(user) })) } } });
    } else if (type === 'ping') tell({ type: 'pong' });
  });
  const session = createSession({ url: 'ws://gateway/graphql', WebSocket: Socket, fresh: true });
  return {
    subscribe: (id, listener) => session.user(id).subscribe(listener),
    get: (id) => session.user(id).get(),
    tell: (text) => Socket.last.tell(text),
    event: (id, number) =>
      JSON.stringify({
        id: operations.get(id),
        type: 'next',
        payload: { data: { usersChanged: [{ id, user: userOf(id, `name ${number}`, number + 2) }] } },
      }),
    close: () => session.close(),
  };
}
