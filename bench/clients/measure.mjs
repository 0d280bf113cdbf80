// What one client costs in CPU time and memory: `node --expose-gc measure.mjs NAME WATCHED`, prints JSON.
// Microseconds are CPU time of the process, user and kernel mode, without that of the scripted server; medians of samples.
import { spent } from './wire.mjs';

const [name, watchedText] = process.argv.slice(2);
const watched = Number(watchedText);
const { open } = await import(`./contenders/${name}.mjs`);

/** A sample is over after so many calls, or so much CPU time. */
const SAMPLES = 9;
const CALLS = 2000;
const MOST = 400_000;
const WARMING = 5;

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const settle = () => new Promise((resolve) => setImmediate(resolve));

/** Waits until it is so, for a minute at most. */
async function until(isSo, what) {
  for (const end = Date.now() + 60_000; !isSo(); ) {
    if (Date.now() > end) throw new Error(`${name}: ${what()}`);
    await settle();
  }
}

async function sampled(run) {
  const samples = [];
  for (let sample = 0; sample < SAMPLES; sample++) {
    const before = spent();
    let calls = 0;
    while (calls < CALLS && (calls % 10 || spent() - before < MOST)) await run(sample * CALLS + calls++);
    samples.push((spent() - before) / calls);
  }
  return median(samples);
}

const names = (prefix, count) => Array.from({ length: count }, (_, number) => `${prefix}-${number}`);
let shown = 0;
const listener = () => shown++;

/** Subscribes to all of them, and returns what that took for each. */
async function subscribeAll(client, ids) {
  const before = spent();
  const end = shown + ids.length;
  kept.push(ids.map((id) => client.subscribe(id, listener)));
  await until(() => shown >= end, () => `${end - shown} are missing`);
  return (spent() - before) / ids.length;
}

const kept = [];
// Everything has run before it is measured, in sessions of their own.
for (let round = 0; round < WARMING; round++) {
  const client = open();
  const ids = names('warm', 1000);
  await subscribeAll(client, ids);
  for (let number = 0; number < 50; number++) {
    client.tell(client.event(ids[number], number));
    await client.get(ids[number]);
  }
  await settle();
  await client.close();
  kept.length = 0;
}

const client = open();
const ids = names('user', watched);
await subscribeAll(client, ['first']); // the connection is there
globalThis.gc();
const heap = process.memoryUsage().heapUsed;
const subscribe = await subscribeAll(client, ids);
globalThis.gc();
await settle();
globalThis.gc();
const bytes = (process.memoryUsage().heapUsed - heap) / watched;

shown = 0;
let told = 0;
const texts = Array.from({ length: SAMPLES * CALLS }, (_, number) => client.event(ids[number % Math.min(watched, 1000)], number));
const event = await sampled(async (number) => {
  told++;
  client.tell(texts[number]);
  if (told % 10 === 0) await until(() => shown >= told, () => `${shown} of ${told} events are shown`);
});
await until(() => shown >= told, () => `${shown} of ${told} events are shown`);
const get = await sampled((number) => client.get(ids[number % watched]));
if (kept.length !== 2) throw new Error('what is measured was thrown away');
console.log(JSON.stringify({ name, watched, event, subscribe, get, bytes }));
await client.close();
process.exit(0);
