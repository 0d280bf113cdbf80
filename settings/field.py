"""How a setting is declared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


def setting(
    group: str, default: Any, description: str, *, reloads: bool = False, agrees: bool = False, **bounds: Any
) -> Any:
    """Return the field of a setting, which stands under the heading ``group``.

    ``reloads`` says that a running gateway takes a new value at SIGHUP, and ``agrees`` that all gateways of a
    deployment must have the same.
    """
    extra: dict[str, Any] = {"group": group, "reloads": reloads, "agrees": agrees}
    return Field(default, description=description, json_schema_extra=extra, **bounds)


def group_of(field: FieldInfo) -> str:
    """Return the heading that a setting stands under."""
    return str(_extra(field)["group"])


def reloads(field: FieldInfo) -> bool:
    """Whether a running gateway takes a new value of a setting."""
    return bool(_extra(field)["reloads"])


def must_agree(field: FieldInfo) -> bool:
    """Whether all gateways of a deployment must have the same value of a setting."""
    return bool(_extra(field)["agrees"])


def _extra(field: FieldInfo) -> dict[str, Any]:
    extra = field.json_schema_extra
    if not isinstance(extra, dict):
        raise TypeError("A setting is declared by ``setting``.")
    return extra


class SettingsPart(BaseModel):
    """A group of settings. Pydantic's validator is made once, for all groups together."""

    model_config = ConfigDict(defer_build=True)
