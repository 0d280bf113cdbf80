// The schema of all peers on Node, and resolvers that do as little as can be.
import { readFileSync } from 'node:fs';

export const typeDefs = readFileSync(new URL('../schema.graphql', import.meta.url), 'utf8');

// `context.users` is a session of store.mjs.
export const resolvers = {
  Query: {
    user: (_, { id }, { users }) => users.get(id),
    users: (_, { ids }, { users }) => users.getMany(ids),
  },
  Mutation: {
    setUser: async (_, { id, input }, { users }) => ({ user: await users.set(id, input), changed: true }),
  },
  Subscription: {
    userChanged: {
      subscribe: (_, { id }, { users }) => users.watch(id),
      resolve: (user) => user,
    },
  },
};
