import './workers.js';

import '@graphiql/react/style.css';
import 'graphiql/graphiql.css';
import '@graphiql/plugin-doc-explorer/style.css';
import '@graphiql/plugin-history/style.css';
import './page.css';

import { GraphiQL } from 'graphiql';
import { createElement } from 'react';
import { createRoot } from 'react-dom/client';

import { beside } from './beside.js';
import examples from './examples.graphql?raw';
import { fetcher } from './fetcher.js';
import { storageOf } from './storage.js';
import { Wrapping } from './wrapping.js';

/** JSON schemas of the custom scalars: what the variables editor checks and completes. */
const CUSTOM_SCALARS = {
  Custom: { type: 'object', additionalProperties: { type: ['string', 'null'] } },
  PushTokens: { type: 'object', additionalProperties: { enum: [true, null] } },
};

const EXAMPLE_VARIABLES = `${JSON.stringify({ custom: { 'app.theme': 'dark' } }, null, 2)}\n`;

const storage = storageOf('userline:');
const isFirstVisit = storage.getItem('graphiql:tabState') === null;

const useBeside = beside(fetcher);

function Page() {
  const [toolbar, footer] = useBeside();
  return createElement(
    GraphiQL,
    {
      fetcher,
      storage,
      customScalarSchemas: CUSTOM_SCALARS,
      defaultTabs: [{ query: examples, variables: EXAMPLE_VARIABLES }],
      // GraphiQL doesn't put the variables of a default tab into its editor.
      initialVariables: isFirstVisit ? EXAMPLE_VARIABLES : undefined,
      defaultEditorToolsVisibility: 'variables',
      defaultQuery: '# Type an operation; Ctrl-Space shows what can stand where the cursor is.\n\n',
      // They are kept as long as the browser's tab is open (storage.js), so that there is nothing to be set.
      shouldPersistHeaders: true,
      showPersistHeadersSettings: false,
    },
    createElement(GraphiQL.Logo, null, createElement('strong', { className: 'userline-logo' }, 'userline')),
    toolbar,
    footer,
    createElement(Wrapping),
  );
}

createRoot(document.getElementById('root')).render(createElement(Page));
