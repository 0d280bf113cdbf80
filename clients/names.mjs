// Private names (those that begin with `_`) become letters in what is built. Two that no object has both may become the
// same letter: the fewer names a program has, the better it is compressed. What objects have is read from the interfaces
// and classes of the sources, in one of which each private name is declared.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** Those that come first are common in programs. */
const LETTERS = 'etrsualfihdnpomcybgwkvxqjzTSRNABCDEFGHIJKLMOPQUVWXYZ';
const COMMENTS = /\/\*[^]*?\*\/|\/\/.*/g;
const HEADS = /^(?:export )?(?:abstract )?(?:interface|class) .*\{$/gm;
const TYPES =
  /^(?:export )?(?:abstract )?(?:interface|class) (\w+)(?:<[^<>]*>)?(?: extends ([\w, <>]+?))?(?: implements .*)? \{\n([^]*?)^\}/gm;
const MEMBERS = /^ {2}(?:\w+ )*(_[a-zA-Z]\w*)/gm;
/** Patterns, types of a line, and some that are none of them, which does no harm. */
const BRACES = /\{([^{}]*)\}/g;
const NAMES = /(?<![\w$.])_[a-zA-Z]\w*/g;

const all = (pattern, text, group = 0) => Array.from(text.matchAll(pattern), (found) => found[group]);

/** Returns the private names of a folder of sources, those used most first, each with those that may not have its letter. */
export function privateNames(folder) {
  const sources = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8').replace(COMMENTS, ''));
  const text = sources.join('\n');
  const types = [...text.matchAll(TYPES)];
  const heads = all(HEADS, text).length;
  if (heads !== types.length) throw new Error(`Of ${heads} interfaces and classes ${types.length} can be read.`);
  const membersOf = (wanted) =>
    types
      .filter(([, name]) => name === wanted)
      .flatMap(([, , parents = '', body]) => [...all(MEMBERS, body, 1), ...parents.replace(/<[^<>]*>/g, '').split(', ').flatMap(membersOf)]);
  const declared = new Set(types.flatMap(([, , , body]) => all(MEMBERS, body, 1)));
  const objects = [...types.map(([, name]) => membersOf(name)), ...all(BRACES, text, 1).map((inside) => all(NAMES, inside))];

  const uses = {};
  for (const name of all(/\b_[a-zA-Z]\w*/g, text)) {
    if (!declared.has(name)) throw new Error(`No interface or class declares ${name}.`);
    uses[name] = (uses[name] ?? 0) + 1;
  }
  return new Map(
    Object.keys(uses)
      .sort((a, b) => uses[b] - uses[a] || (a < b ? -1 : 1))
      .map((name) => [name, new Set(objects.filter((members) => members.includes(name)).flat())]),
  );
}

/**
 * Returns the letter of each private name, as esbuild's `mangleCache` has it: those with which programs compress best, as
 * far as trying each name with each letter once finds them. `programs` are texts in which `mark(name)` stands for a name.
 */
export function lettersFor(names, programs, mark) {
  let letters = {};
  for (const [name, beside] of names) {
    const taken = Array.from(beside, (other) => letters[other]);
    letters[name] = [...LETTERS].find((letter) => !taken.includes(letter));
    if (!letters[name]) throw new Error(`There are too many private names beside ${name}.`);
  }
  const byMark = new Map(Array.from(names.keys(), (name) => [mark(name), name]));
  const marks = new RegExp(`\\b(${[...byMark.keys()].join('|')})\\b`);
  const parts = programs.map((program) => program.split(marks));
  const sizeWith = (tried) => {
    const texts = parts.map((pieces) => pieces.map((piece, place) => (place % 2 ? tried[byMark.get(piece)] : piece)).join(''));
    return texts.reduce((sum, text) => sum + gzipSync(text, { level: 9 }).length, 0);
  };
  let size = sizeWith(letters);
  const used = new Set(Object.values(letters));
  for (const name of names.keys()) {
    for (const letter of used) {
      if (letter === letters[name]) continue;
      const tried = swapped(names, letters, name, letter);
      const triedSize = sizeWith(tried);
      if (triedSize < size) [letters, size] = [tried, triedSize];
    }
  }
  return letters;
}

/** Gives a name a letter. Those beside it that have it get the one that it had, and so on. */
function swapped(names, letters, name, letter) {
  const old = letters[name];
  const result = { ...letters, [name]: letter };
  const moved = [name];
  for (const each of moved) {
    for (const other of names.get(each)) {
      if (moved.includes(other) || result[other] !== result[each]) continue;
      result[other] = result[each] === letter ? old : letter;
      moved.push(other);
    }
  }
  return result;
}
