"""Who may use the REST API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from userline.gateway.auth.bearer import token_of_request
from userline.gateway.rate_limit import address_of, key_of
from userline.users.errors import Forbidden
from userline.users.viewer import ViewerKind

if TYPE_CHECKING:
    from starlette.requests import Request

    from userline.gateway.runtime import Runtime
    from userline.users.viewer import Viewer


def take(request: Request, runtime: Runtime, viewer: Viewer, requests: int = 1) -> None:
    """Count what the viewer asks for. Raises RateLimited."""
    wait = runtime.rate_limiter.take(key_of(viewer, request.scope), requests)
    if wait:
        raise runtime.rate_limiter.refusal(wait)


async def authenticate(request: Request, runtime: Runtime) -> Viewer:
    """Return who is asking, who may use the REST API.

    Raises Unauthenticated without a valid token, Forbidden with a user's, StoreUnavailable if it cannot be told, and
    RateLimited.
    """
    viewer = await runtime.authenticator.viewer(token_of_request(request.scope), address_of(request.scope))
    request.scope["state"]["viewer"] = viewer
    take(request, runtime, viewer)
    if viewer.kind is ViewerKind.USER:
        raise Forbidden("The REST API is for server tokens; this is the token of a user.")
    return viewer
