// mercurius on Fastify, with its JIT from the first request on, and its subscriptions.
import Fastify from 'fastify';
import mercurius from 'mercurius';
import { resolvers, typeDefs } from './schema.mjs';

export async function start(session) {
  const app = Fastify({ logger: false });
  const context = () => ({ users: session() });
  app.register(mercurius, { schema: typeDefs, resolvers, context, jit: 1, subscription: { context } });
  await app.listen({ host: '127.0.0.1', port: 0, backlog: 2048 });
  return app.server.address();
}
