"""The session: where references to users come from."""

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
    """What a session can be given beside its URL. ``Session`` says what each of them means."""

    token: str | None
    on_need_token: OnNeedToken | None
    on_error: Callable[[UserlineError], None] | None
    idle_seconds: float
    timeout: float
    backoff: Backoff | None


class Session:
    """A connection to a userline gateway, and the users behind it.

    ``url`` is the gateway's, such as ``ws://127.0.0.1:8000/graphql``. The socket is opened when it is first needed,
    opened again when it is lost, and closed when nothing has been watched or under way for ``idle_seconds``. Close the
    session with ``async with`` or ``close()``. A session belongs to the event loop in which it is used.

    ``token`` is a JWT; a gateway that runs open needs none. ``on_need_token``, a function or a coroutine function,
    returns a new one: it is called before the token expires, when the gateway has refused it, and at the start if there
    is none. If it raises, that is logged and it is called again later.

    ``on_error`` is called when there is no use in trying again (a refused token with no other to be had, a URL without
    a gateway); all subscriptions have then ended with the same error, and so have all requests. Without it, the error
    is logged. The session can be used again, for instance after ``set_token``.

    A request raises ``ConnectionTimeout`` after ``timeout`` seconds, however often it was sent. ``backoff`` says how
    long to wait before connecting again.
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
        """Return the session of this URL and user, the same one each time, for parts of a program that share it.

        ``user_id`` is whose tokens these are, and need not be given beside a user's ``token``. The options are those of
        ``Session``; where there is a session already, only ``token`` counts, which it uses from now on. Each part
        closes the session once, and the last one really does. It belongs to the running event loop.
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
        """Return the reference to a user, the same one each time. Nothing is sent.

        Raises ``InvalidInput`` for an id that no user can have: an empty one, and one of more than 255 characters, with
        NUL, or with lone surrogates.
        """
        ref = self._refs.get(check_id(user_id))
        if ref is None:
            ref = self._refs[user_id] = UserRef(user_id, self._core)
        return ref

    def users(self, user_ids: Iterable[str]) -> UserRefs:
        """Return a reference to many users, to get or watch them together. Nothing is sent.

        Raises ``InvalidInput`` as ``user`` does.
        """
        return UserRefs([check_id(user_id) for user_id in user_ids], self._core)

    async def app(self) -> App:
        """Return what is configured for everybody: the default locale, and the roles with their settings.

        It is asked for once for each connection.
        """
        return await self._core.apps().get()

    @property
    def current_user(self) -> UserRef | None:
        """The user whose token this is; ``None`` with a server's token, and without one."""
        claims = self._core.tokens.claims
        return self.user(claims.subject) if claims.kind == "user" and claims.subject else None

    def set_token(self, token: str) -> None:
        """Use this token from now on. On a live socket it is renewed, and subscriptions notice nothing.

        The token of another user is shown over a socket of its own. A shared session takes none: ``InvalidInput``.
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
        """Close the session: subscriptions are unsubscribed, requests under way raise ``SessionClosed``.

        A shared one is closed by the last part of the program that uses it.
        """
        if self._share is not None and not _SHARES.let_go(self._share):
            return
        await self._core.close()


_SHARES: Final[Shares[Session]] = Shares()
