// Private names (those that begin with `_`) become letters in what is built. Two that no object has both become the same
// letter: the fewer names a program has, the better it is compressed. What objects have is read from the interfaces and
// classes of the sources, in one of which each private name is declared.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The first ones are the most common ones in what is built. */
const LETTERS = 'etrsualfihdnpomcybgwkvxqjzTSRNABCDEFGHIJKLMOPQUVWXYZ';
const COMMENTS = /\/\*[^]*?\*\/|\/\/.*/g;
const TYPES = /^(?:export )?(?:interface|class) (\w+)(?:<.*?>)?(?: extends ([\w, ]+?))?(?: implements .*)? \{\n([^]*?)^\}/gm;
const MEMBERS = /^ {2}(?:\w+ )*(_[a-zA-Z]\w*)/gm;
/** Patterns, types of a line, and some that are none of them, which does no harm. */
const BRACES = /\{([^{}]*)\}/g;
const NAMES = /(?<![\w$.])_[a-zA-Z]\w*/g;

const all = (pattern, text, group = 0) => Array.from(text.matchAll(pattern), (found) => found[group]);

/** Returns the letter of each private name in a folder of sources, as esbuild's `mangleCache` has it. */
export function lettersOf(folder) {
  const sources = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8').replace(COMMENTS, ''));
  const text = sources.join('\n');
  const types = [...text.matchAll(TYPES)];
  const membersOf = (wanted) =>
    types
      .filter(([, name]) => name === wanted)
      .flatMap(([, , parents = '', body]) => [...all(MEMBERS, body, 1), ...parents.split(', ').flatMap(membersOf)]);
  const objects = [...types.map(([, name]) => membersOf(name)), ...all(BRACES, text, 1).map((inside) => all(NAMES, inside))];
  const declared = new Set(types.flatMap(([, , , body]) => all(MEMBERS, body, 1)));

  const uses = {};
  for (const name of all(/\b_[a-zA-Z]\w*/g, text)) {
    if (!declared.has(name)) throw new Error(`No interface or class declares ${name}.`);
    uses[name] = (uses[name] ?? 0) + 1;
  }
  const letters = {};
  for (const name of Object.keys(uses).sort((a, b) => uses[b] - uses[a] || (a < b ? -1 : 1))) {
    const beside = objects.filter((members) => members.includes(name)).flat();
    const taken = beside.map((other) => letters[other]);
    letters[name] = [...LETTERS].find((letter) => !taken.includes(letter));
    if (!letters[name]) throw new Error(`There are too many private names beside ${name}.`);
  }
  return letters;
}
