"""The session: the connection to a gateway, from which references to users are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self, TypedDict, Unpack
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from userline_client.backoff import Backoff
from userline_client.core import Core
from userline_client.errors import InvalidInput
from userline_client.ref import UserRef, UserRefs, check_id
from userline_client.shared import Shares
from userline_client.tokens import OnNeedToken, read_claims

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from userline_client.app import App
    from userline_client.errors import UserlineError


class SessionOptions(TypedDict, total=False):
    """The options of a session, which ``Session`` explains."""

    token: str | None
    on_need_token: OnNeedToken | None
    on_error: Callable[[UserlineError], None] | None
    idle_seconds: float
    timeout: float
    backoff: Backoff | None


class Session:
    """A connection to a userline gateway.

    ``url`` is the address of the gateway, such as ``ws://127.0.0.1:8000/graphql`` (``InvalidInput`` if it is not a
    ``ws`` or ``wss`` URL). The socket is opened when it is first needed, and opened again when it is lost. It is closed
    when nothing was watched or requested for ``idle_seconds`` (seconds). Close the session with ``async with`` or
    ``close()``. A session belongs to the event loop in which it is used.

    ``token`` is a JWT. A gateway that runs open needs none. ``on_need_token`` is a function or a coroutine function
    that returns a new token. It is called before the token expires, when the gateway has refused the token, and at the
    start if there is none. An exception that it raises is logged, and it is called again later.

    ``on_error`` is called with an error from which the session cannot recover: a token was refused and there is no
    ``on_need_token``, or there is no gateway at the URL. Before that, all subscriptions and requests have ended with
    the same error. Without ``on_error``, the error is logged. The session can be used again, for example after
    ``set_token``.

    A request raises ``ConnectionTimeout`` after ``timeout`` seconds, including all repetitions. ``backoff`` says how
    long the session waits before it reconnects.
    """

    def __init__(  # noqa: PLR0913 - each is a choice of its own
        self,
        url: str,
        *,
        token: str | None = None,
        on_need_token: OnNeedToken | None = None,
        on_error: Callable[[UserlineError], None] | None = None,
        idle_seconds: float = 30.0,
        timeout: float = 15.0,
        backoff: Backoff | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"ws", "wss"} or not parts.hostname:
            raise InvalidInput(
                "The URL of a gateway must be like ws://127.0.0.1:8000/graphql or wss://users.example.com/graphql."
            )
        self._core = Core(
            url,
            token=token,
            on_need_token=on_need_token,
            on_error=on_error,
            idle_seconds=idle_seconds,
            timeout=timeout,
            backoff=backoff or Backoff(),
        )
        self._refs: WeakValueDictionary[str, UserRef] = WeakValueDictionary()
        self._share: tuple[str, str | None] | None = None

    @classmethod
    def shared(cls, url: str, *, user_id: str | None = None, **options: Unpack[SessionOptions]) -> Session:
        """Return the session for this URL and user, the same one each time, so that parts of a program can share it.

        ``user_id`` is the user whose tokens the session uses. If ``token`` is a user token, ``user_id`` can be left
        out. ``InvalidInput`` is raised if the token is of another user. The options are those of ``Session``. If there
        is such a session already, it uses ``token`` from now on and ignores the other options. Each part closes the
        session once; it is closed when the last part has done so. The session belongs to the running event loop.
        """
        token = options.get("token")
        claims = read_claims(token or "")
        subject = claims.subject if claims.kind == "user" else None
        if user_id is not None and subject not in {None, user_id}:
            raise InvalidInput(f"The token is not a token of the user {user_id!r}.")
        share = (url, user_id if user_id is not None else subject)
        session = _SHARES.hold(share, lambda: Session(url, **options))
        session._share = share  # noqa: SLF001 - one of its own
        if token is not None and token != session._core.tokens.current:  # noqa: SLF001
            session.set_token(token)
        return session

    async def __aenter__(self) -> Self:
        self._core.check_open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def user(self, user_id: str) -> UserRef:
        """Return the reference to a user, the same object each time. Nothing is sent.

        Raises ``InvalidInput`` for an id that is not valid: empty, more than 255 characters, with NUL, or with lone
        surrogates.
        """
        ref = self._refs.get(check_id(user_id))
        if ref is None:
            ref = self._refs[user_id] = UserRef(user_id, self._core)
        return ref

    def users(self, user_ids: Iterable[str]) -> UserRefs:
        """Return a reference to many users, to get or watch them together. Nothing is sent.

        Raises ``InvalidInput`` if one of the ids is not valid, as ``user`` does.
        """
        return UserRefs([check_id(user_id) for user_id in user_ids], self._core)

    async def app(self) -> App:
        """Return the app's configuration: its id, the default locale, and the roles with their settings.

        One request is sent for each connection; after that the result is reused. Raises what requests of ``UserRef``
        raise.
        """
        return await self._core.apps().get()

    @property
    def current_user(self) -> UserRef | None:
        """The user to whom the token belongs. ``None`` with a server token, and without a token."""
        claims = self._core.tokens.claims
        return self.user(claims.subject) if claims.kind == "user" and claims.subject else None

    def set_token(self, token: str) -> None:
        """Use this token from now on. On an open socket the token is renewed, and subscriptions continue.

        With a token of another user, the session opens a new socket. A shared session does not accept such a token and
        raises ``InvalidInput``. Raises ``SessionClosed`` if the session is closed.
        """
        self._core.check_open()
        claims = read_claims(token)
        if self._share is not None and claims.kind == "user" and claims.subject != self._share[1]:
            raise InvalidInput(
                "This session is shared by all code that acts for one user. It does not accept the token of another "
                "user."
            )
        self._core.tokens.set(token)

    async def close(self) -> None:
        """Close the session. All subscriptions are unsubscribed, and requests under way raise ``SessionClosed``.

        A shared session is closed when each part of the program that uses it has called this.
        """
        if self._share is not None and not _SHARES.let_go(self._share):
            return
        await self._core.close()


_SHARES: Final[Shares[Session]] = Shares()
