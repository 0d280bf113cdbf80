// graphql-ws on ws for subscriptions; changes come by the plainest HTTP handler there can be.
import { createServer } from 'node:http';
import { makeExecutableSchema } from '@graphql-tools/schema';
import { graphql } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { listen } from './listen.mjs';
import { resolvers, typeDefs } from './schema.mjs';

export async function start(session) {
  const schema = makeExecutableSchema({ typeDefs, resolvers });
  const server = createServer(async (request, response) => {
    const { query: source, variables: variableValues } = JSON.parse(Buffer.concat(await request.toArray()));
    const result = await graphql({ schema, source, variableValues, contextValue: { users: session() } });
    const body = JSON.stringify(result);
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }).end(body);
  });
  useServer({ schema, context: () => ({ users: session() }) }, new WebSocketServer({ server, path: '/graphql' }));
  return listen(server);
}
