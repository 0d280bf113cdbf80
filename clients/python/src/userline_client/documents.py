"""The GraphQL documents of this client, and how they travel."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from userline_client.errors import InvalidInput
from userline_client.snapshot import SEEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_USER = f"{{ {' '.join(name for _, name in SEEN)} }}"

CREATE = f"""mutation Create($id: ID!, $input: CreateUserInput!) {{
  createUserIfNotExists(id: $id, input: $input) {{ created user {_USER} }}
}}"""

SET = f"""mutation Set($id: ID!, $input: SetUserInput!) {{
  setUser(id: $id, input: $input) {{ created changed user {_USER} }}
}}"""

DELETE = "mutation Delete($id: ID!) { deleteUser(id: $id) { deleted } }"

APP = "query App { app { id defaultLocale roles { name settings } } }"

CHANGED = f"subscription Changed($ids: [ID!]!) {{ usersChanged(ids: $ids) {{ id user {_USER} }} }}"

ONLINE = f"subscription Online($id: ID!) {{ userOnlineChanged(id: $id) {{ isConnected user {_USER} }} }}"

DOCUMENTS = (CREATE, SET, DELETE, APP, CHANGED, ONLINE)
"""All of them, for a gateway that serves trusted documents only."""

ENVELOPE_BYTES = 100
"""What a ``subscribe`` message has around its payload, at most."""


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
    """Return the payload of a ``subscribe`` message. Raises ``InvalidInput``."""
    return encode({"query": document, "variables": variables})


def encode_watch(encoded_ids: Iterable[str]) -> str:
    """Return the payload that watches users, whose ids are encoded already."""
    return f'{{"query":{_CHANGED},"variables":{{"ids":[{",".join(encoded_ids)}]}}}}'


def subscribe_message(operation_id: str, payload: str) -> str:
    """Return the message that starts an operation."""
    return f'{{"id":"{operation_id}","type":"subscribe","payload":{payload}}}'


def complete_message(operation_id: str) -> str:
    """Return the message that ends an operation."""
    return f'{{"id":"{operation_id}","type":"complete"}}'


def token_message(kind: str, token: str | None) -> str:
    """Return a ``connection_init``, or a ``ping`` that renews, with the token."""
    return encode({"type": kind, "payload": {"Authorization": f"Bearer {token}"}} if token else {"type": kind})


_CHANGED = encode(CHANGED)
