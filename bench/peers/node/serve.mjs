// Runs one peer on a free port that it prints: node serve.mjs NAME STORE
import { openStore } from './store.mjs';

const [name, store] = process.argv.slice(2);
const { start } = await import(`./${name}.mjs`);
const address = await start(await openStore(store));
console.log(`http://127.0.0.1:${address.port}`);
process.on('SIGTERM', () => process.exit(0));
