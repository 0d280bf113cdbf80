import { defineConfig } from 'vite';

import { thirdPartyLicenses } from './licenses.js';

const licenses = thirdPartyLicenses('graphiql/THIRD-PARTY-LICENSES.txt');

// index.html is served at …/graphql and everything else at …/graphiql/, behind whatever prefix a reverse proxy has:
// so all addresses are relative, to the page in index.html and to the module itself in modules and workers.
export default defineConfig({
  base: './',
  plugins: [licenses.collect(), licenses.write()],
  worker: { format: 'es', plugins: () => [licenses.collect()] },
  build: {
    assetsDir: 'graphiql',
    modulePreload: { polyfill: false },
    sourcemap: false,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 4096,
    rolldownOptions: { checks: { moduleLevelDirective: false } },
  },
});
