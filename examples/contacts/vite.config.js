import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const source = (name) => fileURLToPath(new URL(`../../clients/${name}/src/index.ts`, import.meta.url));

export default defineConfig({
  base: './',
  resolve: {
    // An application of yours installs the two packages; this one is built with what stands beside it.
    alias: { '@userline/client': source('typescript'), '@userline/react': source('react') },
    dedupe: ['react', 'react-dom'],
  },
  oxc: { jsx: { runtime: 'automatic' } },
  build: { sourcemap: false, reportCompressedSize: false, target: 'es2022' },
});
