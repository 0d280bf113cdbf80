// Measures the clients against each other: `node run.mjs [--rounds N] [--clients A,B] [--check]`, prints a table.
// Each turn is a process of its own, and the clients take turns, so that what else the machine does meets all of them.
import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const OURS = 'userline';
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    clients: { type: 'string', default: `${OURS},graphql-ws,talkjs` },
    check: { type: 'boolean', default: false },
  },
});
const clients = values.clients.split(',');
const WATCHED = [1000, 10_000];
// An event takes @talkjs/core half a second there, and tells nothing new.
const SKIPPED = { talkjs: [10_000] };
const UNITS = { event: 'µs', subscribe: 'µs', get: 'µs', bytes: 'bytes' };

const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1];
const figures = new Map();
for (let round = 0; round < Number(values.rounds); round++) {
  for (const watched of WATCHED) {
    for (const client of clients) {
      if (SKIPPED[client]?.includes(watched)) continue;
      const arguments_ = ['--expose-gc', 'measure.mjs', client, String(watched)];
      const text = execFileSync(process.execPath, arguments_, { cwd: import.meta.dirname, encoding: 'utf8', timeout: 300_000 });
      const key = `${client} ${watched}`;
      figures.set(key, [...(figures.get(key) ?? []), JSON.parse(text.trim().split('\n').at(-1))]);
    }
  }
}
const of = (client, watched, what) => {
  const rounds = figures.get(`${client} ${watched}`);
  return rounds && median(rounds.map((round) => round[what]));
};

console.log('| users watched | what | unit |', clients.join(' | '), '|');
console.log('| --- | --- | --- |', clients.map(() => '---').join(' | '), '|');
for (const watched of WATCHED) {
  for (const [what, unit] of Object.entries(UNITS)) {
    const ours = of(OURS, watched, what);
    const cells = clients.map((client) => {
      const figure = of(client, watched, what);
      if (figure === undefined) return '–';
      const ratio = client === OURS || !ours ? '' : ` (${(figure / ours).toFixed(1)} ×)`;
      return figure.toFixed(figure < 100 ? 1 : 0) + ratio;
    });
    console.log('|', [watched, what, unit, ...cells].join(' | '), '|');
  }
}
const MARKS = [
  ['event at 1,000', of(OURS, 1000, 'event'), 20],
  ['event at 10,000, over that at 1,000', of(OURS, 10_000, 'event') / of(OURS, 1000, 'event'), 1.5],
  ['subscribe', of(OURS, 1000, 'subscribe'), 30],
  ['warm get', of(OURS, 1000, 'get'), 3],
  ['bytes a watch', of(OURS, 1000, 'bytes'), 1536],
];
const missed = MARKS.filter(([, figure, most]) => !(figure <= most));
for (const [what, figure, most] of missed) console.log(`missed: ${what} is ${figure.toFixed(2)}, and has to be at most ${most}`);
if (values.check && missed.length) process.exit(1);
