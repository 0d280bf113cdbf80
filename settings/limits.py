"""The limits: each one's name, meaning and default."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Pydantic reads it at run time

from userline.execution.cost import OperationLimits
from userline.settings.field import SettingsPart, setting
from userline.users.rules import Limits


class UserLimits(SettingsPart):
    """How large a user may be."""

    max_record_bytes: int = setting(
        "Limits of a user", 65_536, "How large a whole user may be, encoded as JSON.", ge=1, reloads=True, agrees=True
    )
    max_custom_keys: int = setting(
        "Limits of a user", 100, "How many custom attributes a user may have.", ge=0, reloads=True, agrees=True
    )
    max_push_tokens: int = setting(
        "Limits of a user", 100, "How many push tokens a user may have.", ge=0, reloads=True, agrees=True
    )
    max_emails: int = setting(
        "Limits of a user", 20, "How many e-mail addresses a user may have.", ge=0, reloads=True, agrees=True
    )
    max_phones: int = setting(
        "Limits of a user", 20, "How many phone numbers a user may have.", ge=0, reloads=True, agrees=True
    )

    @property
    def user_limits(self) -> Limits:
        """These limits, as users are held to."""
        return Limits(
            record_bytes=self.max_record_bytes,
            custom_keys=self.max_custom_keys,
            push_tokens=self.max_push_tokens,
            emails=self.max_emails,
            phones=self.max_phones,
        )


class OperationBounds(SettingsPart):
    """Limits of a request."""

    max_body_bytes: int = setting(
        "Limits of operations", 1_048_576, "How large the body of an HTTP request may be.", ge=1, reloads=True
    )
    max_answer_bytes: int = setting(
        "Limits of operations",
        8_388_608,
        "How large the answer to an operation may be, and all answers to an HTTP batch together.",
        ge=1024,
    )
    max_batch_operations: int = setting(
        "Limits of operations", 50, "How many operations one HTTP batch may have.", ge=1, reloads=True
    )
    max_document_characters: int = setting(
        "Limits of operations", 15_000, "How many characters a GraphQL document may have.", ge=1, reloads=True
    )
    max_document_tokens: int = setting(
        "Limits of operations", 1000, "How many tokens a GraphQL document may have.", ge=1, reloads=True
    )
    max_depth: int = setting(
        "Limits of operations", 10, "How many levels deep the selections of an operation may be.", ge=1, reloads=True
    )
    max_aliases: int = setting(
        "Limits of operations", 30, "How many aliases an operation may have, fragments included.", ge=0, reloads=True
    )
    max_directives: int = setting(
        "Limits of operations", 50, "How many directives an operation may have, fragments included.", ge=0, reloads=True
    )
    max_root_fields: int = setting(
        "Limits of operations",
        50,
        "How many root fields an operation may have, fragments included.",
        ge=1,
        reloads=True,
    )
    max_cost: int = setting(
        "Limits of operations",
        1000,
        "The highest cost of an operation. A field costs 1; fields that read or write users cost more (see Limits in "
        "docs/api.md).",
        ge=1,
        reloads=True,
    )
    max_introspection_depth: int = setting(
        "Limits of operations", 20, "How many levels deep an introspection query may be.", ge=1, reloads=True
    )
    max_introspection_cost: int = setting(
        "Limits of operations",
        8000,
        "The highest cost of an introspection query. The query of code generators costs about 4,100.",
        ge=1,
        reloads=True,
    )
    trusted_documents: Path | None = setting(
        "Limits of operations",
        None,
        "A directory with trusted documents: .graphql files, and .json manifests of documents by hash. If set, only "
        "these documents are served.",
    )
    persisted_documents: int = setting(
        "Limits of operations",
        1000,
        "How many persisted documents are kept: clients send them once with their hash, and then only the hash; 0 = "
        "none.",
        ge=0,
    )
    document_cache: int = setting(
        "Limits of operations", 1000, "How many parsed and validated GraphQL documents are kept in memory.", ge=1
    )
    document_cache_bytes: int = setting(
        "Limits of operations",
        33_554_432,
        "How much memory these documents may take. The least recently used ones are removed first.",
        ge=1_048_576,
    )
    operation_seconds: float = setting(
        "Limits of operations", 10, "How long one query or mutation may take.", gt=0, reloads=True
    )
    max_header_bytes: int = setting(
        "Limits of operations",
        16_384,
        "How large the headers of a request may be, including the request line.",
        ge=1024,
    )
    header_seconds: float = setting("Limits of operations", 10, "How long the headers may take to arrive.", gt=0)
    rate_limit_per_second: float = setting(
        "Limits of operations",
        100,
        "How many operations a user may send per second; 0 = no limit. For messages on sockets the limit is twenty "
        "times as high, and sockets above it are read more slowly. On an open gateway the limit is per address, and "
        "the default is 0.",
        ge=0,
        reloads=True,
    )
    rate_limit_burst: int = setting(
        "Limits of operations",
        2000,
        "How many of them are accepted at once after a pause.",
        ge=1,
        reloads=True,
    )
    bad_tokens_per_second: float = setting(
        "Limits of operations",
        10,
        "How many invalid tokens an address may send per second before its new tokens are refused without being "
        "checked; 0 = no limit.",
        ge=0,
        reloads=True,
    )
    bad_tokens_burst: int = setting(
        "Limits of operations",
        200,
        "How many of them are accepted at once after a pause.",
        ge=1,
        reloads=True,
    )

    @property
    def operation_limits(self) -> OperationLimits:
        """How large an operation may be."""
        return OperationLimits(
            depth=self.max_depth,
            aliases=self.max_aliases,
            directives=self.max_directives,
            root_fields=self.max_root_fields,
            cost=self.max_cost,
            introspection_depth=self.max_introspection_depth,
            introspection_cost=self.max_introspection_cost,
        )


class Sockets(SettingsPart):
    """Limits of sockets."""

    max_message_bytes: int = setting(
        "WebSockets",
        1_048_576,
        "How large a message from a client may be. 1,000 ids of 255 characters need up to 1 MiB, and up to three times "
        "as much if the client writes them as escapes. Before connection_ack the limit is 64 KiB, or this value if it "
        "is lower.",
        ge=1024,
    )
    max_subscriptions: int = setting(
        "WebSockets", 1000, "How many subscriptions one socket may have at once.", ge=1, reloads=True
    )
    max_watched_users: int = setting(
        "WebSockets",
        5000,
        "How many users the usersChanged subscriptions of one socket may watch at once.",
        ge=1000,
        reloads=True,
    )
    max_sockets: int = setting(
        "WebSockets",
        10_000,
        "How many sockets and streams one process may have open at the same time.",
        ge=1,
        reloads=True,
    )
    max_sockets_per_user: int = setting(
        "WebSockets", 100, "How many of them one user may have open; 0 = no limit.", ge=0, reloads=True
    )
    max_new_sockets_per_address: int = setting(
        "WebSockets",
        200,
        "How many sockets that have not sent connection_init yet one address may have open; 0 = no limit.",
        ge=0,
        reloads=True,
    )
    connection_init_seconds: float = setting(
        "WebSockets", 3, "How long a new socket may take to send connection_init.", gt=0, reloads=True
    )
    ping_seconds: float = setting("WebSockets", 25, "How often a socket is pinged to keep it alive; 0 = never.", ge=0)

    @property
    def socket_limits(self) -> dict[str, int]:
        """What ``connection_ack`` tells clients that they are held to."""
        return {
            "messageBytes": self.max_message_bytes,
            "subscriptions": self.max_subscriptions,
            "watchedUsers": self.max_watched_users,
        }
