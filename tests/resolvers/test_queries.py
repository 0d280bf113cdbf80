"""What queries do is written once: both ways of executing an operation call it."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest
from strawberry.types import get_object_definition

from tests.support.api import running_api
from userline.resolvers import queries
from userline.schema import types

if TYPE_CHECKING:
    from userline.resolvers.context import AppInfo

READ: dict[str, Any] = {"id": "ann", "name": "Ann", "effectiveLocale": "fr"}
CREATE = 'mutation { setUser(id: "ann", input: {name: "Ann"}) { created } }'


@pytest.mark.parametrize("name", ["App", "Role"])
def test_what_is_answered_has_the_fields_of_its_type(name: str) -> None:
    declared = get_object_definition(getattr(types, name), strict=True).fields
    assert [field.name for field in fields(getattr(queries, name))] == [field.python_name for field in declared]


@pytest.mark.parametrize("plans", [True, False])
async def test_a_change_of_what_a_query_does_is_one_change(monkeypatch: pytest.MonkeyPatch, plans: bool) -> None:
    """As somebody would make it who changes what a field does: both ways show it."""

    def french(*_: object, **__: object) -> str:
        return "fr"

    def renamed(info: AppInfo) -> queries.App:
        return queries.App(f"the app {info.id}", info.default_locale, [queries.Role("one", {"b": 2})])

    monkeypatch.setattr(queries, "app", renamed)
    monkeypatch.setattr(queries, "effective_locale", french)
    async with running_api(plans=plans) as api:
        await api.execute(CREATE)
        read = await api.execute(
            '{ user(id: "ann") { id name effectiveLocale } app { id __typename roles { name settings __typename } } }'
        )
    roles = [{"name": "one", "settings": {"b": 2}, "__typename": "Role"}]
    assert read["data"] == {"user": READ, "app": {"id": "the app app", "__typename": "App", "roles": roles}}
