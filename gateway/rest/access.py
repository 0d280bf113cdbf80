"""Who may use the REST API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from userline.gateway.auth.bearer import token_of_request
from userline.users.errors import Forbidden
from userline.users.viewer import ViewerKind

if TYPE_CHECKING:
    from starlette.requests import Request

    from userline.gateway.runtime import Runtime
    from userline.users.viewer import Viewer


async def authenticate(request: Request, runtime: Runtime) -> Viewer:
    """Return who is asking, who may use the REST API.

    Raises Unauthenticated without a valid token, Forbidden with a user's, and StoreUnavailable if it cannot be told.
    """
    viewer = await runtime.authenticator.viewer(token_of_request(request.scope))
    structlog.contextvars.bind_contextvars(viewer=viewer.kind.value)
    if viewer.kind is ViewerKind.USER:
        raise Forbidden("The REST API is for server tokens; this is the token of a user.")
    return viewer
