import { GraphiQL } from 'graphiql';
import { pick, ToolbarButton, useGraphiQL } from '@graphiql/react';
import { createElement, Fragment, useState } from 'react';

/**
 * A button that sends the operation at the cursor while a subscription goes on in the same tab. GraphiQL's own button
 * would stop the subscription: it does one thing at a time.
 */
export function beside(fetcher) {
  function SendBeside({ onAnswer }) {
    const state = useGraphiQL(pick('queryEditor', 'variableEditor', 'headerEditor', 'documentAST'));
    async function send() {
      const operation = operationAt(state.documentAST, offsetOf(state.queryEditor));
      if (!operation) {
        onAnswer('Put the cursor into a query or a mutation first.');
        return;
      }
      const name = operation.name?.value ?? 'The operation';
      onAnswer(`${name} …`);
      try {
        const params = { query: state.queryEditor.getValue(), operationName: operation.name?.value };
        const variables = objectIn(state.variableEditor, 'Variables');
        const headers = objectIn(state.headerEditor, 'Headers');
        const answer = await fetcher({ ...params, variables }, { headers, documentAST: state.documentAST });
        onAnswer(`${name}: ${JSON.stringify(answer)}`);
      } catch (error) {
        onAnswer(`${name}: ${error.message}`);
      }
    }
    return createElement(
      ToolbarButton,
      { onClick: send, label: 'Send the operation at the cursor, and let a subscription go on' },
      createElement('span', { className: 'userline-beside graphiql-toolbar-icon', 'aria-hidden': true }, '+▸'),
    );
  }

  /** GraphiQL's toolbar with that button, and its answers below the response. */
  return function useBeside() {
    const [answer, setAnswer] = useState('');
    return [
      createElement(GraphiQL.Toolbar, { key: 'toolbar' }, ({ prettify, merge, copy }) =>
        createElement(Fragment, null, createElement(SendBeside, { onAnswer: setAnswer }), prettify, merge, copy),
      ),
      createElement(
        GraphiQL.Footer,
        { key: 'footer' },
        createElement('output', { className: 'userline-answer', 'aria-live': 'polite' }, answer),
      ),
    ];
  };
}

function offsetOf(editor) {
  const position = editor?.getPosition();
  return position ? editor.getModel().getOffsetAt(position) : 0;
}

/** The query or mutation that the cursor is in or behind, or the only one; its comments belong to it. */
function operationAt(document, offset) {
  const operations = (document?.definitions ?? []).filter(({ kind }) => kind === 'OperationDefinition');
  const found = operations.find(({ loc }) => offset <= loc.end) ?? operations.at(-1);
  return found?.operation === 'subscription' ? undefined : found;
}

function objectIn(editor, what) {
  const text = editor?.getValue().trim();
  if (!text) {
    return undefined;
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${what} are not JSON: ${error.message}`);
  }
}
