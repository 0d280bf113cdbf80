"""The settings of what a gateway is: each one's name, meaning and default."""

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
from userline.settings.field import Part, setting
from userline.settings.limits import OperationBounds, Sockets, UserLimits
from userline.settings.tokens import Tokens


class Serving(Part):
    """Where and for what the gateway serves."""

    host: Annotated[str, AfterValidator(check_hosts)] = setting(
        "Serving",
        "127.0.0.1",
        "The addresses or host names to listen on, separated by commas (127.0.0.1,::1; 0.0.0.0,:: for all), or unix: "
        "and the path of a socket.",
    )
    port: int = setting("Serving", 8000, "The port to listen on; 0 takes any that is free.", ge=0, le=65535)
    allow_open: bool = setting(
        "Serving", False, "Bind other than loopback although anybody may read and write every user."
    )
    workers: int = setting(
        "Serving", 1, "How many processes serve; more than one need a bus that they share.", ge=1, le=1024
    )
    worker_hang_seconds: float = setting(
        "Serving",
        30,
        "How long one of several workers may do nothing at all before it is replaced; 0 = any time.",
        ge=0,
        le=3600,
    )
    env: Literal["development", "production"] = setting(
        "Serving", "development", "What the gateway is for. In production it never runs open."
    )
    shutdown_seconds: int = setting(
        "Serving",
        10,
        "How long requests under way, and publishing what waits, may take to finish once the gateway is asked to stop.",
        ge=0,
    )
    drain_seconds: float = setting(
        "Serving",
        10,
        "Over how long sockets are closed, in groups, once the gateway gets SIGTERM; requests are answered meanwhile.",
        ge=0,
        le=3600,
    )
    graphiql: bool = setting(
        "Serving", True, "Answer browsers that open /graphql with GraphiQL. In production the default is false."
    )
    introspection: bool = setting(
        "Serving",
        True,
        "Let clients ask for the schema, and help with misspelt names. In production the default is false.",
    )
    federation: bool = setting(
        "Serving", False, "Serve the schema as a subgraph of Apollo Federation 2, for a router alone to ask."
    )
    federation_prefix: Annotated[str, AfterValidator(check_type_prefix)] = setting(
        "Serving",
        "",
        "What the subgraph's types App, Role, RoleSettings, Custom and PushTokens, and its query app, are called with, "
        "such as Userline, where another subgraph has such a type.",
    )
    get_queries: bool = setting("Serving", True, "Answer queries that come by GET, and not by POST alone.")
    metrics_address: Annotated[str | None, AfterValidator(check_address)] = setting(
        "Serving",
        None,
        "Where /metrics is served, and nowhere else: HOST:PORT, such as 127.0.0.1:9100. Without it, where the API is.",
    )
    trusted_proxies: Annotated[str | None, AfterValidator(check_proxies)] = setting(
        "Serving",
        None,
        "Addresses and networks, separated by commas, whose X-Forwarded-For and X-Forwarded-Proto are believed; unix "
        "for who comes by a Unix socket.",
    )
    keep_alive_seconds: int = setting(
        "Serving",
        75,
        "How long a connection may be idle between two requests; longer than a balancer in front keeps its own.",
        ge=1,
        le=3600,
    )

    @property
    def hosts(self) -> tuple[str, ...]:
        """The addresses in ``host``."""
        return tuple(self.host.split(","))


class Storage(Part):
    """Where users live, and how gateways hear of changes."""

    store_url: Annotated[str, AfterValidator(check_store_url)] = setting(
        "Store and bus", "sqlite:///userline.db", "Where users live. sqlite:///userline.db is in the working directory."
    )
    store_url_file: Path | None = setting(
        "Store and bus", None, "A file with that URL, for one that has a password in it."
    )
    mongodb_driver: Literal["motor", "pymongo"] = setting(
        "Store and bus", "motor", "What talks to MongoDB: Motor, or PyMongo's own asynchronous client, its successor."
    )
    sqlite_mode: Literal["0600", "0640", "0660"] = setting(
        "Store and bus",
        "0600",
        "Who may use the files of a SQLite store: their owner alone, or their group too, to read (0640) or to write.",
    )
    change_stream: bool = setting(
        "Store and bus",
        False,
        "Follow MongoDB's change stream, so that edits by other programs reach watchers at once.",
    )
    bus_url: Annotated[str, AfterValidator(check_bus_url)] = setting(
        "Store and bus",
        "memory://",
        f"How gateways hear of each other's changes: memory:// for one process, {SHARED_EXAMPLES} for any number. "
        "Redis may be behind Sentinels or a cluster (redis+sentinel://, redis+cluster://).",
    )
    bus_prefix: Annotated[str, AfterValidator(check_bus_prefix)] = setting(
        "Store and bus",
        "userline",
        "What names of channels on the bus begin with. Gateways hear each other if it and the app's id are the same.",
        agrees=True,
    )
    bus_url_file: Path | None = setting(
        "Store and bus", None, "A file with that URL, for one that has a password in it."
    )
    cache_seconds: float = setting(
        "Store and bus", 30, "How long a user who was read is served without a store read.", ge=0
    )
    cache_users: int = setting(
        "Store and bus", 10_000, "How many users are kept in memory at most, beside those who are watched.", ge=0
    )
    reread_seconds: float = setting(
        "Store and bus", 30, "How often a watched user is read again, in case a change was missed.", gt=0
    )
    presence_seconds: float = setting(
        "Store and bus",
        10,
        "How long a user counts as connected after the last sign of it; the same at all gateways.",
        gt=0,
        agrees=True,
    )

    @property
    def file_mode(self) -> int:
        """``sqlite_mode`` as a number."""
        return int(self.sqlite_mode, 8)


class App(Part):
    """What is configured for everybody."""

    app_id: Annotated[str, AfterValidator(check_app_id)] = setting(
        "The app",
        "userline",
        "The app's id: letters, digits and - . _ ~, as it stands in URLs and tokens.",
        agrees=True,
    )
    default_locale: Annotated[str, AfterValidator(check_locale)] = setting(
        "The app", DEFAULT_LOCALE, "The language tag (BCP 47) of users who have no locale of their own.", agrees=True
    )
    roles: Path | None = setting(
        "The app",
        None,
        'A JSON file {"ROLE": {settings…}} of all roles, "default" among them. Without it users may have any role.',
        agrees=True,
    )


class Speed(Part):
    """By which ways operations run."""

    plans: bool = setting(
        "Speed", True, "Compile simple operations into plans; without, graphql-core executes all of them."
    )
    fast_lane: bool = setting(
        "Speed", True, "Answer planned operations where requests are parsed; without, over plain ASGI."
    )


class Logging(Part):
    """What is logged, and how."""

    log_format: Literal["text", "json"] = setting(
        "Logging", "text", "text for people, json for one JSON object per line."
    )
    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "Logging", "info", "The least level that is logged.", reloads=True
    )
    access_log: bool = setting("Logging", True, "Log a line for every request.", reloads=True)
    log_probes: bool = setting(
        "Logging",
        True,
        "Log a line for requests to /healthz, /readyz and /metrics too, while access_log is on.",
        reloads=True,
    )

    tracing: bool = setting(
        "Traces",
        False,
        "Send traces by OTLP to where OTEL_EXPORTER_OTLP_ENDPOINT says, http://localhost:4318 by default. Needs "
        "userline[tracing].",
    )


# Pydantic takes the fields of the last base first: this is the order of the documentation, backwards.
class Fields(Logging, Speed, Sockets, OperationBounds, UserLimits, App, Storage, Tokens, Serving):
    """Every setting."""
