"""How a setting is declared."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


def setting(group: str, default: Any, description: str, **bounds: Any) -> Any:
    """Return the field of a setting, which stands under the heading ``group``."""
    return Field(default, description=description, json_schema_extra={"group": group}, **bounds)


class Part(BaseModel):
    """Some of the settings. What validates them is made once, for all parts together."""

    model_config = ConfigDict(defer_build=True)
