import { make } from '../build.mjs';

await make(import.meta.url, {
  entries: ['index'],
  types: ['types', 'hooks'],
  external: ['react', '@userline/client'],
  // Where there are server components, hooks are none of them.
  banner: '"use client";',
});
