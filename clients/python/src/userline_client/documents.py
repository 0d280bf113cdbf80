"""The GraphQL documents of this client, and how they travel."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from userline_client.errors import InvalidInput
from userline_client.snapshot import SEEN

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_MESSAGE_BYTES = 65_536
"""How large a message the gateway takes, unless its ``USERLINE_MAX_MESSAGE_BYTES`` says otherwise."""

_USER = f"{{ {' '.join(name for _, name in SEEN)} }}"

USERS = f"query Users($ids: [ID!]!) {{ users(ids: $ids) {_USER} }}"

CREATE = f"""mutation Create($id: ID!, $input: CreateUserInput!) {{
  createUserIfNotExists(id: $id, input: $input) {{ created user {_USER} }}
}}"""

SET = f"""mutation Set($id: ID!, $input: SetUserInput!) {{
  setUser(id: $id, input: $input) {{ created changed user {_USER} }}
}}"""

CHANGED = f"subscription Changed($id: ID!) {{ userChanged(id: $id) {_USER} }}"

DOCUMENTS = (USERS, CREATE, SET, CHANGED)
"""All of them, for a gateway that serves trusted documents only."""

_ENVELOPE_BYTES = 100  # type and id, around the payload


def encode(value: Any) -> str:
    """Return the value as compact JSON.

    Raises ``InvalidInput`` for what has no JSON form or no UTF-8 form.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput("Text must be valid Unicode, without lone surrogates.") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"This cannot be sent as JSON: {error}") from None
    return text


def encode_operation(document: str, variables: Mapping[str, object]) -> str:
    """Return the payload of a ``subscribe`` message. Raises ``InvalidInput`` if it is past the gateway's limit."""
    payload = encode({"query": document, "variables": variables})
    if len(payload.encode()) > MAX_MESSAGE_BYTES - _ENVELOPE_BYTES:
        raise InvalidInput(f"This is too much for one message, which may have {MAX_MESSAGE_BYTES:,} bytes.")
    return payload


def subscribe_message(operation_id: str, payload: str) -> str:
    """Return the message that starts an operation."""
    return f'{{"id":"{operation_id}","type":"subscribe","payload":{payload}}}'


def complete_message(operation_id: str) -> str:
    """Return the message that ends an operation."""
    return f'{{"id":"{operation_id}","type":"complete"}}'


def token_message(kind: str, token: str | None) -> str:
    """Return a ``connection_init``, or a ``ping`` that renews, with the token."""
    return encode({"type": kind, "payload": {"Authorization": f"Bearer {token}"}} if token else {"type": kind})
