"""The Python client of userline: read, write and watch users through a gateway.

>>> async with Session("ws://127.0.0.1:8000/graphql", token=token) as session:
...     alice = session.user("alice")
...     await alice.set(name="Alice")
...     async for snapshot in alice.subscribe():
...         print(snapshot)
"""

from userline_client.app import App
from userline_client.backoff import Backoff
from userline_client.errors import (
    BadUserInput,
    ConnectionRefused,
    ConnectionTimeout,
    Disconnected,
    DocumentNotTrusted,
    Forbidden,
    GraphQLParseFailed,
    GraphQLValidationFailed,
    InternalServerError,
    InvalidInput,
    NameRequired,
    OperationTooComplex,
    PersistedQueryNotFound,
    PersistedQueryNotSupported,
    Problem,
    ProtocolError,
    RateLimited,
    ServerError,
    SessionClosed,
    StoreUnavailable,
    SubscriptionEnded,
    TooManyWatches,
    Unauthenticated,
    UserlineError,
    UserSyncDisabled,
)
from userline_client.fields import UNSET, Unset, UserFields
from userline_client.ref import UserRef, UserRefs
from userline_client.session import Session, SessionOptions
from userline_client.snapshot import UserOnline, UserSnapshot
from userline_client.states import Active, Failed, Pending, StateOf, SubscriptionState, Unsubscribed
from userline_client.subscription import (
    OnlineSubscription,
    Outcome,
    SnapshotIterator,
    Subscription,
    UsersSubscription,
    UserSubscription,
)
from userline_client.tokens import OnNeedToken
from userline_client.users import CreateResult, SetResult

__version__ = "0.2.0"

__all__ = [
    "UNSET",
    "Active",
    "App",
    "Backoff",
    "BadUserInput",
    "ConnectionRefused",
    "ConnectionTimeout",
    "CreateResult",
    "Disconnected",
    "DocumentNotTrusted",
    "Failed",
    "Forbidden",
    "GraphQLParseFailed",
    "GraphQLValidationFailed",
    "InternalServerError",
    "InvalidInput",
    "NameRequired",
    "OnNeedToken",
    "OnlineSubscription",
    "OperationTooComplex",
    "Outcome",
    "Pending",
    "PersistedQueryNotFound",
    "PersistedQueryNotSupported",
    "Problem",
    "ProtocolError",
    "RateLimited",
    "ServerError",
    "Session",
    "SessionClosed",
    "SessionOptions",
    "SetResult",
    "SnapshotIterator",
    "StateOf",
    "StoreUnavailable",
    "Subscription",
    "SubscriptionEnded",
    "SubscriptionState",
    "TooManyWatches",
    "Unauthenticated",
    "Unset",
    "Unsubscribed",
    "UserFields",
    "UserOnline",
    "UserRef",
    "UserRefs",
    "UserSnapshot",
    "UserSubscription",
    "UserSyncDisabled",
    "UserlineError",
    "UsersSubscription",
]
