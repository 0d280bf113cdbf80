// Monaco's language features (completion, validation, hover) run in workers, which are files of this site.
// graphiql/setup-workers/vite is the same, except that it writes to the console.
import EditorWorker from 'monaco-editor/esm/vs/editor/editor.worker.js?worker';
import JsonWorker from 'monaco-editor/esm/vs/language/json/json.worker.js?worker';
import GraphQLWorker from 'monaco-graphql/esm/graphql.worker.js?worker';

const WORKERS = { graphql: GraphQLWorker, json: JsonWorker };

globalThis.MonacoEnvironment = {
  getWorker: (_moduleId, label) => new (WORKERS[label] ?? EditorWorker)(),
};
