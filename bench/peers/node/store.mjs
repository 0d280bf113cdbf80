// The users: in memory, in SQLite, or in MongoDB behind a DataLoader for each operation.
import { readFileSync } from 'node:fs';
import DataLoader from 'dataloader';
import { MongoClient } from 'mongodb';
import { publish, watch } from './watchers.mjs';

// `memory:FILE` has an array of users in JSON; `sqlite:///FILE` and anything else, the URL of a MongoDB, have users as the
// gateway keeps them. Returns a function that makes the session of one operation.
export async function openStore(url) {
  if (url.startsWith('memory:')) return memory(url.slice('memory:'.length));
  return url.startsWith('sqlite:///') ? sqlite(url.slice('sqlite:///'.length)) : mongodb(url);
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

// A write is one UPDATE and one commit, on disk when it is answered, as the gateway's.
async function sqlite(file) {
  const { default: Database } = await import('better-sqlite3');
  const database = new Database(file);
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  const read = database.prepare('SELECT * FROM users WHERE id = ?');
  const writes = new Map(); // by the columns that they set
  const prepared = (columns) => {
    if (!writes.has(columns)) {
      const set = columns.split(',').map((column) => `${column} = ?`);
      writes.set(columns, database.prepare(`UPDATE users SET ${set}, version = version + 1 WHERE id = ? RETURNING *`));
    }
    return writes.get(columns);
  };
  const session = {
    get: (id) => asRow(read.get(id)),
    getMany: (ids) => ids.map(session.get),
    set(id, given) {
      const columns = Object.keys(given).map((name) => COLUMNS[name]).join();
      const values = Object.entries(given).map(([name, value]) => (name === 'custom' ? JSON.stringify(value) : value));
      const user = asRow(prepared(columns).get(...values, id));
      publish(user);
      return user;
    },
    watch: (id) => watch(id, session.get(id)),
  };
  return () => session;
}

const COLUMNS = {
  name: 'name',
  custom: 'custom',
  locale: 'locale',
  photoUrl: 'photo_url',
  role: 'role',
  welcomeMessage: 'welcome_message',
};

function asRow(row) {
  if (!row) return null;
  const { id, name, custom, locale, photo_url: photoUrl, role, welcome_message: welcomeMessage } = row;
  return { id, name, custom: JSON.parse(custom), locale, photoUrl, role, welcomeMessage };
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
