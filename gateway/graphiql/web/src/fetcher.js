import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { createClient } from 'graphql-ws';

/** The page's own address: there a POST is a query or mutation, and a socket carries subscriptions. */
function endpoint(protocol) {
  const url = new URL(window.location.href);
  Object.assign(url, { protocol, username: '', password: '', search: '', hash: '' });
  return url.href;
}

/** What a socket says about itself when it opens: the Authorization header of the headers editor, if there is one. */
function connectionParams(headers = {}) {
  const name = Object.keys(headers).find((key) => key.toLowerCase() === 'authorization');
  return name ? { Authorization: headers[name] } : {};
}

/** What to show when a subscription ends in an error: GraphQL errors as they are, and a sentence for a socket's end. */
function explain(cause) {
  if (cause instanceof CloseEvent) {
    return { message: `The gateway closed the socket: ${cause.code} ${cause.reason}`.trim() };
  }
  return cause instanceof Event ? { message: 'No WebSocket to the gateway could be opened.' } : cause;
}

/** A client for one subscription, so that each has the token that its tab had when it was started. */
function socketClient(headers) {
  let wasConnected = false;
  const client = createClient({
    url: endpoint(window.location.protocol === 'https:' ? 'wss:' : 'ws:'),
    connectionParams: connectionParams(headers),
    // Come back after a network failure; show what the gateway says (4xxx), or that it is not there, at once.
    shouldRetry: (event) => wasConnected && !(event?.code >= 4000),
    on: {
      connected: () => {
        wasConnected = true;
      },
    },
  });
  return {
    subscribe: (payload, sink) =>
      client.subscribe(payload, { ...sink, error: (cause) => sink.error(explain(cause)) }),
  };
}

export function fetcher(params, options) {
  const run = createGraphiQLFetcher({
    url: endpoint(window.location.protocol),
    wsClient: socketClient(options?.headers),
    enableIncrementalDelivery: false,
  });
  return run(params, options);
}
