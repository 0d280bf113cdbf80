// Who watches which user: an async iterator for each subscription, with a queue.

const iterators = new Map();

export function publish(user) {
  for (const iterator of iterators.get(user.id) ?? []) iterator.push(user);
}

export function watch(id, first) {
  const iterator = new Watcher(id, first);
  const others = iterators.get(id);
  if (others) others.add(iterator);
  else iterators.set(id, new Set([iterator]));
  return iterator;
}

class Watcher {
  #id;
  #queue;
  #waiting = null;

  constructor(id, first) {
    this.#id = id;
    this.#queue = [first];
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  push(user) {
    if (this.#waiting) {
      const resolve = this.#waiting;
      this.#waiting = null;
      resolve({ value: user, done: false });
    } else {
      this.#queue.push(user);
    }
  }

  next() {
    if (this.#queue.length) return Promise.resolve({ value: this.#queue.shift(), done: false });
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  return() {
    const others = iterators.get(this.#id);
    if (others?.delete(this) && !others.size) iterators.delete(this.#id);
    this.#waiting?.({ value: undefined, done: true });
    return Promise.resolve({ value: undefined, done: true });
  }
}
