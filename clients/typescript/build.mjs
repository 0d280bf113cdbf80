import { make } from '../build.mjs';

await make(import.meta.url, {
  entries: ['index', 'tabs'],
  // What stands in for sockets.
  later: ['stream'],
  types: ['types', 'errors'],
});
