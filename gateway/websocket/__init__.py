"""GraphQL over WebSocket, under the ``graphql-transport-ws`` and the legacy ``graphql-ws`` subprotocol."""
