// The users: in memory, or in MongoDB behind a DataLoader for each operation.
import { readFileSync } from 'node:fs';
import DataLoader from 'dataloader';
import { MongoClient } from 'mongodb';
import { publish, watch } from './watchers.mjs';

// `memory:FILE` has an array of users in JSON; anything else is the URL of a MongoDB that has users as the gateway keeps
// them. Returns a function that makes the session of one operation.
export async function openStore(url) {
  return url.startsWith('memory:') ? memory(url.slice('memory:'.length)) : mongodb(url);
}

function memory(file) {
  const users = new Map(JSON.parse(readFileSync(file, 'utf8')).map((user) => [user.id, user]));
  const session = {
    get: (id) => users.get(id) ?? null,
    getMany: (ids) => ids.map((id) => users.get(id) ?? null),
    set(id, given) {
      const user = { ...users.get(id), ...given };
      users.set(id, user);
      publish(user);
      return user;
    },
    watch: (id) => watch(id, session.get(id)),
  };
  return () => session;
}

async function mongodb(url) {
  const client = await new MongoClient(url).connect();
  const collection = client.db().collection('users');
  const load = async (ids) => {
    const found = new Map();
    for await (const document of collection.find({ _id: { $in: ids } })) found.set(document._id, asUser(document));
    return ids.map((id) => found.get(id) ?? null);
  };
  return () => {
    const loader = new DataLoader(load);
    return {
      get: (id) => loader.load(id),
      getMany: (ids) => loader.loadMany(ids),
      async set(id, given) {
        const update = { $set: given, $inc: { version: 1 } };
        const user = asUser(await collection.findOneAndUpdate({ _id: id }, update, { returnDocument: 'after' }));
        publish(user);
        return user;
      },
      watch: async (id) => watch(id, await loader.load(id)),
    };
  };
}

function asUser({ _id, name, custom, locale, photoUrl, role, welcomeMessage }) {
  return { id: _id, name, custom, locale, photoUrl, role, welcomeMessage };
}
