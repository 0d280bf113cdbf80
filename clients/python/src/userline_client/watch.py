"""A watch: what a session has of one user; and a batch of them, which is one operation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, Protocol

from userline_client.documents import ONLINE, encode, encode_operation, encode_watch
from userline_client.errors import ProtocolError, error_from
from userline_client.operations import Operation
from userline_client.snapshot import UserOnline
from userline_client.state import UserState
from userline_client.subscription import Outcome, Subscription

if TYPE_CHECKING:
    from userline_client.connection import Connection
    from userline_client.errors import UserlineError
    from userline_client.snapshot import Snapshots

_NO_EVENT: Final = "The gateway sent an event that is not valid."


class WatchCarrier(Protocol):
    """What watches and batches know of the socket that carries them. ``Carrier`` is one."""

    held: int
    """How many of its watches somebody uses now."""
    connection: Connection

    def note_use(self, watch: Watch) -> None:
        """Note that somebody has begun to use one of its watches, or that nobody does any more."""

    def remove(self, watch: Watch) -> None:
        """Carry a watch no more."""

    def review(self, batch: Batch) -> None:
        """End a batch that nobody wants, and begin one with few that are wanted anew with those alone."""

    def release(self, batch: Batch) -> list[Watch]:
        """Forget a batch that is over, and return its watches."""


class Watch(ABC):
    """One user, kept up to date by the events of the batch that it is in."""

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        self.subscriptions: list[Subscription[Any]] = []
        self.waiting: int = 0
        """How many wait for what the user is now."""
        self.is_wanted: bool = True
        """Whether somebody uses it, or has used it lately."""
        self.is_fresh: bool = False
        """Whether no change can have been missed."""
        self.batch: Batch | None = None
        self.carrier: WatchCarrier | None = None
        """Which socket it is watched over, or will be."""
        self.failures: int = 0
        self.problem: UserlineError | None = None
        """Why the gateway does not watch the user, if it has said so."""
        self._arrival: Outcome[None] | None = None

    @property
    @abstractmethod
    def key(self) -> object:
        """What it is found by."""

    @property
    @abstractmethod
    def is_known(self) -> bool:
        """Whether there is anything to show."""

    @property
    @abstractmethod
    def snapshot(self) -> Any:
        """What to show, if there is anything."""

    @abstractmethod
    def hear(self, told: Any, snapshots: Snapshots) -> bool:
        """Take what an event says; return whether the gateway has to be asked anew."""

    @property
    def is_held(self) -> bool:
        """Whether somebody uses it now."""
        return bool(self.subscriptions) or self.waiting > 0

    @property
    def arrival(self) -> Outcome[None]:
        """Await it until it is fresh."""
        if self._arrival is None:
            self._arrival = Outcome()
        return self._arrival

    def freshen(self) -> None:
        """Note that it is up to date, and tell those who wait and those who look."""
        self.is_fresh = True
        self.failures = 0
        self.problem = None
        if self._arrival is not None:
            self._arrival.resolve(None)
            self._arrival = None
        self.show()

    def show(self) -> None:
        """Show those who look what is known."""
        if self.is_known:
            for subscription in tuple(self.subscriptions):
                subscription.show(self.snapshot)

    def reject(self, error: UserlineError) -> None:
        """Tell those who wait that it will not be up to date."""
        if self._arrival is not None:
            self._arrival.reject(error)
            self._arrival = None


class UserWatch(Watch):
    """The watch of a user."""

    def __init__(self, user_id: str, state: UserState) -> None:
        super().__init__(user_id)
        self.encoded_id: str = encode(user_id)
        self.state = state

    @property
    def key(self) -> object:
        """The user's id."""
        return self.user_id

    @property
    def is_known(self) -> bool:
        """Whether it is known what the user is, or that there is none."""
        return self.state.is_known

    @property
    def snapshot(self) -> Any:
        """What the user is."""
        return self.state.snapshot

    def hear(self, told: Any, snapshots: Snapshots) -> bool:
        """Take a user, or null."""
        if told is None:
            snapshots.forget(self.user_id)
        return self.state.hear(snapshots.read(told, self.state.news_from), is_first=not self.is_fresh)


class OnlineWatch(Watch):
    """The watch of whether a user is connected."""

    def __init__(self, user_id: str) -> None:
        super().__init__(user_id)
        self._state = UserState()
        self._latest: UserOnline | None = None

    @property
    def key(self) -> object:
        """Another one than that of the user's own watch."""
        return ("online", self.user_id)

    @property
    def is_known(self) -> bool:
        """Whether there has been an event."""
        return self._latest is not None

    @property
    def snapshot(self) -> Any:
        """The user, and whether it is connected."""
        return self._latest

    def hear(self, told: Any, snapshots: Snapshots) -> bool:
        """Take a ``UserOnline``."""
        if not isinstance(told, dict) or not isinstance(told.get("isConnected"), bool) or "user" not in told:
            raise ProtocolError(_NO_EVENT)
        self._state.hear(snapshots.read(told["user"], self._state.news_from), is_first=not self.is_fresh)
        self._latest = UserOnline(self._state.snapshot, told["isConnected"])
        return False


class Owner(Protocol):
    """Who is told what becomes of a batch."""

    def take(self, watch: Watch, told: Any) -> None:
        """Take what an event says of a user."""

    def take_refusal(self, watch: Watch, error: UserlineError) -> None:
        """Take that an event says that a user cannot be watched."""

    def batch_failed(self, batch: Batch, error: UserlineError | None) -> None:
        """The gateway has ended the operation."""


class Batch(Operation):
    """The watches that one operation keeps up to date."""

    needs_socket: bool = False

    def __init__(self, payload: str, watches: list[Watch], carrier: WatchCarrier, owner: Owner) -> None:
        super().__init__(payload)
        self.size: int = len(watches)
        """How many users the gateway watches for it, wanted or not."""
        self.wanted: int = sum(watch.is_wanted for watch in watches)
        self.watches: dict[str, Watch] = {watch.user_id: watch for watch in watches}
        """Those that it still keeps up to date."""
        self.carrier = carrier
        self.owner = owner
        for watch in watches:
            watch.batch = self

    def release(self, watch: Watch) -> None:
        """Keep a watch up to date no more."""
        if self.watches.get(watch.user_id) is watch:
            del self.watches[watch.user_id]
            self.wanted -= watch.is_wanted
            watch.batch = None
            watch.is_fresh = False

    def on_failure(self, error: UserlineError) -> None:
        """Take that the gateway watches none of them."""
        self.owner.batch_failed(self, error)

    def on_complete(self) -> None:
        """Take that the gateway has ended it without a reason: it is being stopped."""
        self.owner.batch_failed(self, None)


class UserBatch(Batch):
    """Many users: ``usersChanged``."""

    def __init__(self, watches: list[UserWatch], carrier: WatchCarrier, owner: Owner) -> None:
        super().__init__(encode_watch(watch.encoded_id for watch in watches), [*watches], carrier, owner)

    def on_data(self, data: dict[str, Any]) -> bool:
        """Take an event: a list of users who have changed."""
        return self.on_partial_data(data, [])

    def on_partial_data(self, data: dict[str, Any], errors: list[Any]) -> bool:
        """Take an event of which some entries could not be made."""
        entries = data.get("usersChanged")
        if not isinstance(entries, list):
            raise ProtocolError("The gateway's usersChanged does not return lists, as this client expects.")
        refused: dict[object, UserlineError] = {}
        for error in errors:
            match error:
                case {"path": [_, int(place), *_]}:
                    refused[place] = error_from([error])
                case _:
                    raise error_from(errors)
        for place, entry in enumerate(entries):
            match entry:
                case {"id": str(user_id), "user": user}:
                    watch = self.watches.get(user_id)
                case _:
                    raise ProtocolError(_NO_EVENT)
            if watch is not None and place in refused:
                self.owner.take_refusal(watch, refused[place])
            elif watch is not None:
                self.owner.take(watch, user)
        return True


class OnlineBatch(Batch):
    """One user: ``userOnlineChanged``."""

    def __init__(self, watch: OnlineWatch, carrier: WatchCarrier, owner: Owner) -> None:
        super().__init__(encode_operation(ONLINE, {"id": watch.user_id}), [watch], carrier, owner)

    def on_data(self, data: dict[str, Any]) -> bool:
        """Take an event."""
        for watch in list(self.watches.values()):
            self.owner.take(watch, data.get("userOnlineChanged"))
        return True
