"""Operations that are not over, in words that are the same for all clients."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clients.conformance.gateway import End

Message = dict[str, Any]
_FIELDS = ("usersChanged", "userOnlineChanged", "setUser", "createUserIfNotExists", "deleteUser")


def field_of(message: Message) -> str:
    """Return which field of the schema an operation asks for."""
    query = message["payload"]["query"]
    return next((field for field in _FIELDS if f"{field}(" in query), "app")


def slot_of(end: End) -> int:
    """Return which session has a socket: each has a URL of its own."""
    assert end.request is not None
    return int(end.request.path.rpartition("=")[2])


@dataclass(eq=False)
class Running:
    """An operation that is not over."""

    end: End
    message: Message
    untold: list[str]
    """Of whom nothing was told yet; of a request, its field."""
    result: Message | None = None
    """Of a write: what it has done, if it is done and not answered."""

    @property
    def id(self) -> str:
        """Its id on the wire."""
        return str(self.message["id"])

    @property
    def field(self) -> str:
        """The field that it asks for."""
        return field_of(self.message)

    @property
    def is_write(self) -> bool:
        """Whether it is a mutation."""
        return self.field in {"setUser", "createUserIfNotExists", "deleteUser"}

    @property
    def ids(self) -> list[str]:
        """The users that it watches, in an order that is the same for all clients."""
        variables = self.message["payload"]["variables"]
        return sorted(variables["ids"] if "ids" in variables else [variables["id"]] if "id" in variables else [])

    @property
    def label(self) -> str:
        """What it is, in words that are the same for all clients."""
        variables = {**self.message["payload"]["variables"]}
        if "ids" in variables:
            variables["ids"] = sorted(variables["ids"])
        return json.dumps([slot_of(self.end), self.field, variables], sort_keys=True)

    @property
    def labels(self) -> list[str]:
        """The same, of each user alone that it watches together with others."""
        if self.field != "usersChanged":
            return [self.label]
        return [json.dumps([slot_of(self.end), self.field, user_id]) for user_id in self.ids]
