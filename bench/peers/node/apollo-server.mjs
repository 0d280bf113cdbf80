// Apollo Server's own stand-alone server.
import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';
import { resolvers, typeDefs } from './schema.mjs';

export async function start(session) {
  const server = new ApolloServer({ typeDefs, resolvers });
  const { url } = await startStandaloneServer(server, {
    context: async () => ({ users: session() }),
    listen: { host: '127.0.0.1', port: 0 },
  });
  return { port: new URL(url).port };
}
