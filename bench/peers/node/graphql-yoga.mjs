// GraphQL Yoga on Node's HTTP server.
import { createServer } from 'node:http';
import { createSchema, createYoga } from 'graphql-yoga';
import { listen } from './listen.mjs';
import { resolvers, typeDefs } from './schema.mjs';

export async function start(session) {
  const yoga = createYoga({
    schema: createSchema({ typeDefs, resolvers }),
    context: () => ({ users: session() }),
    graphiql: false,
    logging: false,
  });
  return listen(createServer(yoga));
}
