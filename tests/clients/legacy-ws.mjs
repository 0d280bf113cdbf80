// subscriptions-transport-ws, the client of the legacy graphql-ws subprotocol: every operation over one socket.
import { SubscriptionClient } from 'subscriptions-transport-ws';
import { breakable, Events, exercise, webSocketUrl } from './exercise.mjs';

const { Breakable, tear } = breakable();
const client = new SubscriptionClient(webSocketUrl, { reconnect: true, minTimeout: 10_000 }, Breakable);

function watch(query, variables) {
  const events = new Events();
  const subscription = client.request({ query, variables }).subscribe({
    next: (result) => events.push(result),
    error: (error) => events.push({ errors: [error] }),
  });
  return { next: () => events.next(), pending: () => events.pending(), stop: () => subscription.unsubscribe() };
}

const execute = (query, variables) =>
  new Promise((resolve, reject) => {
    let last;
    client.request({ query, variables }).subscribe({
      next: (result) => (last = result),
      error: (error) => (error.extensions ? resolve({ errors: [error] }) : reject(error)),
      complete: () => resolve(last),
    });
  });

await exercise('subscriptions-transport-ws', { execute, watch, tear }, { close: () => client.close() });
