"""The settings, but for tokens and limits: each one's name, meaning and default."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Pydantic reads it at run time
from typing import Annotated, Literal

from pydantic import AfterValidator

from userline.changes.factory import SHARED_EXAMPLES
from userline.settings.checks import (
    DEFAULT_LOCALE,
    check_address,
    check_app_id,
    check_bus_prefix,
    check_bus_url,
    check_hosts,
    check_locale,
    check_proxies,
    check_store_url,
    check_type_prefix,
)
from userline.settings.field import SettingsPart, setting
from userline.settings.limits import OperationBounds, Sockets, UserLimits
from userline.settings.tokens import Tokens


class Serving(SettingsPart):
    """Where the gateway serves, and for what."""

    host: Annotated[str, AfterValidator(check_hosts)] = setting(
        "Serving",
        "127.0.0.1",
        "The addresses or host names to listen on, separated by commas (127.0.0.1,::1; 0.0.0.0,:: for all), or unix: "
        "and the path of a socket.",
    )
    port: int = setting("Serving", 8000, "The port to listen on; 0 = any free port.", ge=0, le=65535)
    allow_open: bool = setting(
        "Serving",
        False,
        "Allow an open gateway on an address other than loopback: everybody who can reach it may read and write every "
        "user.",
    )
    workers: int = setting(
        "Serving", 1, "The number of processes that serve. More than one process needs a shared bus.", ge=1, le=1024
    )
    worker_hang_seconds: float = setting(
        "Serving",
        30,
        "After how long a worker that does not respond is replaced, if there are several; 0 = never.",
        ge=0,
        le=3600,
    )
    env: Literal["development", "production"] = setting(
        "Serving",
        "development",
        "What the gateway is used for. In production it never runs open, that is, without checking tokens.",
    )
    shutdown_seconds: int = setting(
        "Serving",
        10,
        "How long the gateway, when it stops, waits for requests under way and for changes that are not published yet.",
        ge=0,
    )
    drain_seconds: float = setting(
        "Serving",
        10,
        "Over how much time sockets are closed, in groups, after SIGTERM. Requests are still answered during this "
        "time.",
        ge=0,
        le=3600,
    )
    graphiql: bool = setting(
        "Serving", True, "Answer browsers that open /graphql with GraphiQL. In production the default is false."
    )
    introspection: bool = setting(
        "Serving",
        True,
        "Allow introspection of the schema, and suggest names in errors. In production the default is false.",
    )
    federation: bool = setting(
        "Serving",
        False,
        "Serve the schema as a subgraph of Apollo Federation 2. Only a router should have access to it.",
    )
    federation_prefix: Annotated[str, AfterValidator(check_type_prefix)] = setting(
        "Serving",
        "",
        "A prefix, such as Userline, for the names of the subgraph's types App, Role, RoleSettings, Custom and "
        "PushTokens and of its query app, if another subgraph has types of these names.",
    )
    get_queries: bool = setting("Serving", True, "Answer queries that are sent by GET too, and not only by POST.")
    metrics_address: Annotated[str | None, AfterValidator(check_address)] = setting(
        "Serving",
        None,
        "The only address at which /metrics is served: HOST:PORT, such as 127.0.0.1:9100. If not set, /metrics is "
        "served at the address of the API.",
    )
    trusted_proxies: Annotated[str | None, AfterValidator(check_proxies)] = setting(
        "Serving",
        None,
        "Addresses and networks, separated by commas, of proxies whose X-Forwarded-For and X-Forwarded-Proto are "
        "trusted; unix = connections by a Unix socket.",
    )
    keep_alive_seconds: int = setting(
        "Serving",
        75,
        "How long a connection may be idle between two requests. Set it longer than the idle time-out of a load "
        "balancer in front.",
        ge=1,
        le=3600,
    )

    @property
    def hosts(self) -> tuple[str, ...]:
        """The addresses in ``host``."""
        return tuple(self.host.split(","))


class Storage(SettingsPart):
    """The store and the bus."""

    store_url: Annotated[str, AfterValidator(check_store_url)] = setting(
        "Store and bus",
        "sqlite:///userline.db",
        "The URL of the user store. sqlite:///userline.db is a file in the working directory.",
    )
    store_url_file: Path | None = setting(
        "Store and bus", None, "A file that contains this URL, for URLs with a password."
    )
    mongodb_driver: Literal["motor", "pymongo"] = setting(
        "Store and bus",
        "motor",
        "The driver for MongoDB: Motor, or PyMongo's own asynchronous client, which is Motor's successor.",
    )
    sqlite_mode: Literal["0600", "0640", "0660"] = setting(
        "Store and bus",
        "0600",
        "Who may use the files of a SQLite store: only their owner (0600), or also their group, to read (0640) or to "
        "write (0660).",
    )
    change_stream: bool = setting(
        "Store and bus",
        False,
        "Follow MongoDB's change stream, so that watchers see edits by other programs at once.",
    )
    bus_url: Annotated[str, AfterValidator(check_bus_url)] = setting(
        "Store and bus",
        "memory://",
        f"The URL of the bus that carries changes between gateways: memory:// for one process, {SHARED_EXAMPLES} for "
        "any number. "
        "Redis may be behind Sentinels or a cluster (redis+sentinel://, redis+cluster://).",
    )
    bus_prefix: Annotated[str, AfterValidator(check_bus_prefix)] = setting(
        "Store and bus",
        "userline",
        "The prefix of channel names on the bus. Gateways receive each other's changes if the prefix and the app's id "
        "are the same.",
        agrees=True,
    )
    bus_url_file: Path | None = setting(
        "Store and bus", None, "A file that contains this URL, for URLs with a password."
    )
    cache_seconds: float = setting(
        "Store and bus", 30, "How long a user who was read is served from memory, without a read of the store.", ge=0
    )
    cache_users: int = setting(
        "Store and bus", 10_000, "How many users are kept in memory at most, not counting watched users.", ge=0
    )
    reread_seconds: float = setting(
        "Store and bus", 30, "How often a watched user is read again, in case a change was missed.", gt=0
    )
    presence_seconds: float = setting(
        "Store and bus",
        10,
        "How long a user counts as connected after the last message about it. Must be the same at all gateways.",
        gt=0,
        agrees=True,
    )

    @property
    def file_mode(self) -> int:
        """``sqlite_mode`` as a number."""
        return int(self.sqlite_mode, 8)


class App(SettingsPart):
    """The app's configuration."""

    app_id: Annotated[str, AfterValidator(check_app_id)] = setting(
        "The app",
        "userline",
        "The app's id, which is part of URLs and tokens: letters, digits and - . _ ~.",
        agrees=True,
    )
    default_locale: Annotated[str, AfterValidator(check_locale)] = setting(
        "The app", DEFAULT_LOCALE, "The language tag (BCP 47) of users who have no locale of their own.", agrees=True
    )
    roles: Path | None = setting(
        "The app",
        None,
        'A JSON file {"ROLE": {settings…}} with all roles, including "default". If not set, users may have any role.',
        agrees=True,
    )


class Speed(SettingsPart):
    """How operations are executed."""

    plans: bool = setting(
        "Speed", True, "Compile simple operations into plans. If false, graphql-core executes all operations."
    )
    fast_lane: bool = setting(
        "Speed",
        True,
        "Answer operations that have a plan in the HTTP server, without ASGI. If false, all requests go through ASGI.",
    )


class Logging(SettingsPart):
    """The log."""

    log_format: Literal["text", "json"] = setting(
        "Logging", "text", "The format of the log: text for people, or json for one JSON object per line."
    )
    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "Logging", "info", "The lowest level that is logged.", reloads=True
    )
    access_log: bool = setting("Logging", True, "Log a line for every request.", reloads=True)
    log_probes: bool = setting(
        "Logging",
        True,
        "Log these lines also for requests to /healthz, /readyz and /metrics, if access_log is on.",
        reloads=True,
    )

    tracing: bool = setting(
        "Traces",
        False,
        "Send traces by OTLP to the URL in OTEL_EXPORTER_OTLP_ENDPOINT, http://localhost:4318 by default. Needs "
        "userline[tracing].",
    )


# Pydantic takes the fields of the last base first: this is the order of the documentation, backwards.
class Fields(Logging, Speed, Sockets, OperationBounds, UserLimits, App, Storage, Tokens, Serving):
    """Every setting."""
