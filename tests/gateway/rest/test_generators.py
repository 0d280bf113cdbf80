"""What generators of clients stumble over is in neither description: of the REST API, and of the schema."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from graphql import (
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    build_schema,
    is_specified_scalar_type,
)

from userline.gateway.rest.openapi import describe
from userline.schema.federation import print_subgraph
from userline.schema.sdl import print_schema
from userline.settings.settings import load_settings
from userline.users.fields import GIVEN, READ_ONLY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BREAKING = re.compile(r'["\\]|\*/|/\*|\$\{|#\{|[\x00-\x1f]')
"""What ends a comment or a string of some language, or begins something else in it."""


@pytest.fixture(params=["any role", "configured roles"])
def description(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    given: dict[str, Any] = {}
    if request.param == "configured roles":
        roles = tmp_path / "roles.json"
        roles.write_text(json.dumps({"default": {}, "agent": {}}))
        given["roles"] = str(roles)
    return describe(load_settings(given), with_tokens=True)


def objects_in(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from objects_in(each)


def test_every_schema_has_a_type(description: Any) -> None:
    """Without one, generators leave out what has the schema, or everything that refers to it."""
    seen = 0
    for each in objects_in(description):
        if {"enum", "const", "properties", "items", "additionalProperties", "pattern", "format"} & set(each):
            if "in" in each or each == {"const": False}:
                continue
            assert "type" in each, each
            seen += 1
        assert not {"anyOf", "oneOf", "allOf"} & set(each), each
        if each.get("type") == "integer" and "maximum" not in each and "minimum" not in each:
            assert each["format"] == "int64", each
    assert seen > 30


def test_a_patch_has_every_field_of_a_user(description: Any) -> None:
    schemas = description["components"]["schemas"]
    properties = schemas["UserPatch"]["properties"]
    assert list(properties) == [field.name for field in (*GIVEN, *READ_ONLY)]
    assert set(properties) == set(schemas["User"]["properties"])
    for field in GIVEN:
        assert ("null" in properties[field.name]["type"]) is not field.is_required, field.name
        if "enum" in properties[field.name]:
            assert None in properties[field.name]["enum"]


def test_descriptions_can_stand_in_any_code(description: Any) -> None:
    texts = [each[name] for each in objects_in(description) for name in ("description", "summary") if name in each]
    texts = [text for text in texts if isinstance(text, str)]
    for sdl in (print_schema(), print_subgraph("Userline")):
        for graphql_type in build_schema(sdl, assume_valid=True).type_map.values():
            if graphql_type.name.startswith("__") or is_specified_scalar_type(graphql_type):
                continue
            texts.append(graphql_type.description or "")
            if isinstance(graphql_type, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
                for field in graphql_type.fields.values():
                    texts.append(field.description or "")
                    texts += [each.description or "" for each in getattr(field, "args", {}).values()]
    assert len(texts) > 100
    assert [text for text in texts if BREAKING.search(text)] == []
