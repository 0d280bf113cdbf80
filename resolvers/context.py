"""The context of an operation, which every resolver gets as ``info.context``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from userline.directory.allowance import Allowance
    from userline.directory.users import Users
    from userline.presence.presence import Presence
    from userline.users.viewer import Viewer


@dataclass(frozen=True, slots=True)
class AppInfo:
    """The app's configuration: its id, its default locale, and each role's settings by its name."""

    id: str
    default_locale: str
    roles: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"default": {}})


@dataclass(slots=True)
class Context:
    """The context of one operation. (Not frozen, which would triple what it costs to make one.)"""

    users: Users
    app: AppInfo
    viewer: Viewer
    presence: Presence
    request_id: str = ""
    allowance: Allowance | None = None
    """How much the operation may hold, if it is one of a socket."""
