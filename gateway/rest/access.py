"""Who may use the REST API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from userline.gateway.auth.bearer import token_of_request
from userline.gateway.rate_limit import address_of, key_of
from userline.users.errors import Forbidden
from userline.users.viewer import ViewerKind

if TYPE_CHECKING:
    from starlette.requests import Request

    from userline.gateway.answering.answering import Answering
    from userline.gateway.auth.authenticator import Authenticator
    from userline.users.viewer import Viewer


async def authenticate(request: Request, authenticator: Authenticator, answering: Answering) -> Viewer:
    """Return who is asking, who may use the REST API.

    Raises Unauthenticated without a valid token, Forbidden with a user's, StoreUnavailable if it cannot be told, and
    RateLimited.
    """
    viewer = await authenticator.viewer(token_of_request(request.scope), address_of(request.scope))
    request.scope["state"]["viewer"] = viewer
    answering.charge(key_of(viewer, request.scope))
    if viewer.kind is ViewerKind.USER:
        raise Forbidden("The REST API is for server tokens only. This is the token of a user.")
    return viewer
