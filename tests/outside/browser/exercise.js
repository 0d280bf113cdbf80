// What each client does. An adapter has
//   query(text, variables), mutate(text, variables)  promises of data; they reject with an error that has `errors`
//   batch(list of [text, variables])                 a promise of a list of data
//   watch(text, variables, told)                     calls told(data) for each event; returns what ends it
import { control, id, lasting } from './yours.js';

const USER = 'id name photoUrl welcomeMessage';
const GET = `query ($id: ID!) { user(id: $id) { ${USER} } }`;
const SET = `mutation ($id: ID!, $input: SetUserInput!) { setUser(id: $id, input: $input) { changed user { ${USER} } } }`;
const WATCH = 'subscription ($id: ID!) { userChanged(id: $id) { id name } }';

const done = (what) => console.log(`done: ${what}`);

function equal(found, expected) {
  const [left, right] = [found, expected].map((value) => JSON.stringify(value));
  if (left !== right) throw new Error(`${left} is not ${right}`);
}

async function until(what, reached) {
  for (const end = Date.now() + 30_000; !reached(); await new Promise((next) => setTimeout(next, 50))) {
    if (Date.now() > end) throw new Error(`not reached: ${what()}`);
  }
}

export async function exercise({ query, mutate, batch, watch }) {
  const closes = () => globalThis.closes[null] ?? [];
  const set = (input) => mutate(SET, { id, input });
  equal((await query(GET, { id })).user, null);
  done('query');

  // What is undefined is not sent, and stays as it is; null goes back to the default.
  await set({ name: 'Ann', photoUrl: 'https://example.com/ann.png', welcomeMessage: 'Hello', email: ['ann@example.com'] });
  await set({ photoUrl: null, welcomeMessage: undefined });
  const { user } = await query(GET, { id });
  equal([user.id, user.name, user.photoUrl, user.welcomeMessage], [id, 'Ann', null, 'Hello']);
  equal(JSON.parse(await control('/user', { id })).email, ['ann@example.com']);
  done('mutation');

  const answers = await batch([
    [GET, { id }],
    [GET, { id: 'nobody' }],
  ]);
  equal(
    answers.map((data) => data.user?.name ?? null),
    ['Ann', null],
  );
  done('batch');

  const refused = await set({ photoUrl: 'ftp://a' }).then(
    () => ({}),
    (error) => error,
  );
  equal(
    refused.errors?.map(({ extensions }) => [extensions.code, extensions.field]),
    [['BAD_USER_INPUT', 'photoUrl']],
  );
  done('error');

  const names = [];
  const becomes = (name) => until(() => `${name} after ${names}, ${closes()}`, () => names.at(-1) === name);
  lasting(4);
  const stop = watch(WATCH, { id }, (data) => names.push(data.userChanged.name));
  await becomes('Ann');
  await control('/change', { id, name: 'Bob' });
  await becomes('Bob');
  done('subscription');

  lasting(3600);
  await until(() => `4410 in ${closes()}`, () => closes().includes(4410));
  await control('/change', { id, name: 'Cid' });
  await becomes('Cid');
  equal((await query(GET, { id })).user.id, id);
  equal(closes(), [4410]);
  done('the end of a token');

  await control('/restart');
  await control('/change', { id, name: 'Dan' });
  await becomes('Dan');
  equal(closes()[1], 1012);
  equal((await mutate(SET, { id, input: { name: 'Eve' } })).setUser.changed, true);
  await becomes('Eve');
  stop();
  done('restart');
}
