// graphql-ws with the patterns of its documentation: a subscription for each user, and a promise around a query.
import { createClient } from 'graphql-ws';
import { socketsOf, userOf } from '../wire.mjs';

const FIELDS = '{ id version name custom locale effectiveLocale photoUrl role welcomeMessage }';

export function open() {
  const operations = new Map();
  const Socket = socketsOf((tell, { id, type, payload }) => {
    if (type === 'connection_init') tell({ type: 'connection_ack' });
    else if (type === 'subscribe') {
      const user = payload.variables.id;
      const isWatch = payload.query.startsWith('subscription');
      if (isWatch) operations.set(user, id);
      tell({ id, type: 'next', payload: { data: { [isWatch ? 'userChanged' : 'user']: userOf(user) } } });
      if (!isWatch) tell({ id, type: 'complete' });
    } else if (type === 'ping') tell({ type: 'pong' });
  });
  Object.assign(Socket, { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 });
  const client = createClient({ url: 'ws://gateway/graphql', webSocketImpl: Socket });
  return {
    subscribe(id, listener) {
      const query = `subscription Changed($id: ID!) { userChanged(id: $id) ${FIELDS} }`;
      const sink = { next: ({ data }) => listener(data.userChanged), error: console.error, complete() {} };
      return client.subscribe({ query, variables: { id } }, sink);
    },
    get: (id) =>
      new Promise((resolve, reject) => {
        let result;
        const sink = { next: ({ data }) => (result = data.user), error: reject, complete: () => resolve(result) };
        client.subscribe({ query: `query User($id: ID!) { user(id: $id) ${FIELDS} }`, variables: { id } }, sink);
      }),
    tell: (text) => Socket.last.tell(text),
    event: (id, number) =>
      JSON.stringify({
        id: operations.get(id),
        type: 'next',
        payload: { data: { userChanged: userOf(id, `name ${number}`, number + 2) } },
      }),
    close: () => client.dispose(),
  };
}
