/**
 * The browser's local storage under names of our own: other projects' GraphiQL, served from the same host and port at
 * another time, would otherwise show its tabs here, in place of the examples.
 */
export function storageOf(prefix) {
  const names = () => Object.keys(localStorage).filter((name) => name.startsWith(prefix));
  return {
    getItem: (name) => localStorage.getItem(prefix + name),
    setItem: (name, value) => localStorage.setItem(prefix + name, value),
    removeItem: (name) => localStorage.removeItem(prefix + name),
    clear: () => names().forEach((name) => localStorage.removeItem(name)),
    get length() {
      return names().length;
    },
  };
}
