// What the client itself costs, in CPU time, over a gateway in memory: `node --expose-gc speed.mjs`, prints JSON.
import { createSession } from '../../dist/index.js';
import { settle } from './clock.mjs';
import { Gateway } from './gateway.mjs';

const microseconds = (run, times) => {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / times;
};
const least = (samples) => Math.min(...samples);

async function measure(watched) {
  const gateway = new Gateway();
  gateway.limits = { messageBytes: 1_000_000, subscriptions: 1000, watchedUsers: 100_000 };
  const ids = Array.from({ length: watched }, (_, n) => `user-${n}`);
  for (const id of ids) gateway.put(id, { custom: { team: 'blue' } });
  const session = createSession({ url: 'ws://gateway/graphql', WebSocket: gateway.WebSocket, fresh: true });
  await session.user('first').get();
  globalThis.gc();
  const heap = process.memoryUsage().heapUsed;
  let shown = 0;
  const subscriptions = [];
  // The messages are made before, and those of the gateway thrown away: what is measured is the client.
  const subscribe = microseconds(() => {
    for (const id of ids) subscriptions.push(session.user(id).subscribe(() => shown++));
  }, watched);
  await settle();
  const operation = [...gateway.socket.operations].find(([, members]) => members.has('user-0'))[0];
  gateway.socket.received.length = 0;
  globalThis.gc();
  // Their records are the gateway's; the strings of snapshots are the client's.
  const bytes = (process.memoryUsage().heapUsed - heap) / watched;
  const { client } = gateway.socket;
  const events = [];
  for (let n = 0; n < 20_000; n++) {
    const user = gateway.put(`user-${n % Math.min(watched, 1000)}`, { name: `name ${n}` });
    events.push({ data: JSON.stringify({ id: operation, type: 'next', payload: { data: { usersChanged: [{ id: user.id, user }] } } }) });
  }
  const samples = [];
  for (let round = 0; round < 10; round++) {
    const part = events.slice(round * 2000, (round + 1) * 2000);
    samples.push(microseconds(() => part.forEach((event) => client.onmessage(event)), part.length));
  }
  if (shown < watched + 20_000) throw new Error(`${shown} shown`);
  const refs = ids.map((id) => session.user(id));
  const gets = [];
  for (let round = 0; round < 10; round++) {
    const before = process.cpuUsage();
    for (let n = 0; n < 2000; n++) await refs[n % watched].get();
    const { user, system } = process.cpuUsage(before);
    gets.push((user + system) / 2000);
  }
  if (gateway.subscribed.length) throw new Error('a warm get was asked for');
  await session.close();
  return { event: least(samples), subscribe, get: least(gets), bytes };
}

await measure(1000);
console.log(JSON.stringify({ 1000: await measure(1000), 10000: await measure(10_000) }));
