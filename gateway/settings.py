"""What can be set: each setting's name, meaning and default, and the checks of the whole.

A value comes from a flag, else from a ``USERLINE_*`` environment variable, else from an ``.env`` file, else it is the
default. An empty variable counts as one that is not set.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from userline.execution.cost import OperationLimits
from userline.gateway.settings_checks import (
    OPEN_ROLES,
    SettingsError,
    check_app_id,
    check_bus_url,
    check_host,
    check_jwks_url,
    check_locale,
    check_origins,
    check_proxies,
    check_store_url,
    check_together,
    expected,
    explain_port,
    read_roles,
)
from userline.gateway.settings_origins import PREFIX, Origins, describe, variable_of
from userline.users.rules import Limits, Rules
from userline.users.viewer import ClientUserSyncing

if TYPE_CHECKING:
    from collections.abc import Mapping

_ORIGINS = "where the values come from"


def _setting(group: str, default: Any, description: str, **bounds: Any) -> Any:
    return Field(default, description=description, json_schema_extra={"group": group}, **bounds)


class Settings(BaseSettings):
    """The settings of one gateway, valid as a whole. Raises :class:`SettingsError` with every problem there is."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        allow_inf_nan=False,
    )

    host: Annotated[str, AfterValidator(check_host)] = _setting(
        "Serving", "127.0.0.1", "The address or host name to listen on."
    )
    port: int = _setting("Serving", 8000, "The port to listen on; 0 takes any that is free.", ge=0, le=65535)
    allow_open: bool = _setting(
        "Serving", False, "Bind other than loopback although anybody may read and write every user."
    )
    workers: int = _setting(
        "Serving", 1, "How many processes serve; more than one need a bus that they share.", ge=1, le=1024
    )
    env: Literal["development", "production"] = _setting(
        "Serving", "development", "What the gateway is for. In production it never runs open."
    )
    shutdown_seconds: int = _setting(
        "Serving", 10, "How long requests under way may take to finish once the gateway is told to stop.", ge=0
    )
    graphiql: bool = _setting(
        "Serving", True, "Answer browsers that open /graphql with GraphiQL. In production the default is false."
    )
    introspection: bool = _setting(
        "Serving",
        True,
        "Let clients ask for the schema, and help with misspelt names. In production the default is false.",
    )
    trusted_proxies: Annotated[str | None, AfterValidator(check_proxies)] = _setting(
        "Serving",
        None,
        "Addresses and networks, separated by commas, whose X-Forwarded-For and X-Forwarded-Proto are believed.",
    )

    secret: SecretStr | None = _setting(
        "Tokens",
        None,
        "The secret that HS256 tokens are checked with. Other users of the machine can see what is given as a flag.",
    )
    jwks_url: Annotated[str | None, AfterValidator(check_jwks_url)] = _setting(
        "Tokens", None, "Where the public keys are that RS256, ES256 and EdDSA tokens are checked with (a JWKS)."
    )
    jwks_pause_seconds: float = _setting(
        "Tokens", 10, "How long to wait at least before keys are fetched again for a token whose key is unknown.", ge=0
    )
    client_user_syncing: Literal["off", "own", "any"] = _setting(
        "Tokens", "own", "What user tokens may write: nothing, their own user, or every user."
    )
    cors_origins: Annotated[str | None, AfterValidator(check_origins)] = _setting(
        "Tokens",
        None,
        "The origins of web pages, separated by commas, that may use the API, such as https://app.example.com.",
    )

    store_url: Annotated[str, AfterValidator(check_store_url)] = _setting(
        "Store and bus", "sqlite:///userline.db", "Where users live. sqlite:///userline.db is in the working directory."
    )
    mongodb_driver: Literal["motor", "pymongo"] = _setting(
        "Store and bus", "motor", "What talks to MongoDB: Motor, or PyMongo's own asynchronous client, its successor."
    )
    change_stream: bool = _setting(
        "Store and bus",
        False,
        "Follow MongoDB's change stream, so that edits by other programs reach watchers at once.",
    )
    bus_url: Annotated[str, AfterValidator(check_bus_url)] = _setting(
        "Store and bus",
        "memory://",
        "How gateways hear of each other's changes: memory:// for one process, redis://HOST:PORT for any number.",
    )
    cache_seconds: float = _setting(
        "Store and bus", 30, "How long a user who was read is served without a store read.", ge=0
    )
    cache_users: int = _setting(
        "Store and bus", 10_000, "How many users are held at most, beside those who are watched.", ge=0
    )
    reread_seconds: float = _setting(
        "Store and bus", 30, "How often a watched user is read again, in case a change was missed.", gt=0
    )

    app_id: Annotated[str, AfterValidator(check_app_id)] = _setting(
        "The app", "userline", "The app's id: letters, digits and - . _ ~, as it stands in URLs and tokens."
    )
    default_locale: Annotated[str, AfterValidator(check_locale)] = _setting(
        "The app", "en", "The language tag (BCP 47) of users who have no locale of their own."
    )
    roles: Path | None = _setting(
        "The app",
        None,
        'A JSON file {"ROLE": {settings…}} of all roles, "default" among them. Without it users may have any role.',
    )

    max_record_bytes: int = _setting(
        "Limits of a user", 65_536, "How large a whole user may be, encoded as JSON.", ge=1
    )
    max_custom_keys: int = _setting("Limits of a user", 100, "How many custom attributes a user may have.", ge=0)
    max_push_tokens: int = _setting("Limits of a user", 100, "How many push tokens a user may have.", ge=0)
    max_emails: int = _setting("Limits of a user", 20, "How many e-mail addresses a user may have.", ge=0)
    max_phones: int = _setting("Limits of a user", 20, "How many phone numbers a user may have.", ge=0)

    max_body_bytes: int = _setting(
        "Limits of operations", 1_048_576, "How large the body of an HTTP request may be.", ge=1
    )
    max_batch_operations: int = _setting(
        "Limits of operations", 50, "How many operations one HTTP batch may have.", ge=1
    )
    max_document_characters: int = _setting(
        "Limits of operations", 15_000, "How many characters a GraphQL document may have.", ge=1
    )
    max_document_tokens: int = _setting(
        "Limits of operations", 1000, "How many tokens a GraphQL document may have.", ge=1
    )
    max_depth: int = _setting("Limits of operations", 10, "How many levels deep an operation may select.", ge=1)
    max_aliases: int = _setting(
        "Limits of operations", 30, "How many aliases an operation may have, fragments included.", ge=0
    )
    max_directives: int = _setting(
        "Limits of operations", 50, "How many directives an operation may have, fragments included.", ge=0
    )
    max_root_fields: int = _setting(
        "Limits of operations", 50, "How many fields of the root an operation may have, fragments included.", ge=1
    )
    max_cost: int = _setting(
        "Limits of operations",
        1000,
        "What an operation may cost: 1 for each field, 5 for user, 100 for users, 10 for a mutation or subscription.",
        ge=1,
    )
    max_introspection_depth: int = _setting(
        "Limits of operations", 20, "How many levels deep an operation may ask for the schema.", ge=1
    )
    max_introspection_cost: int = _setting(
        "Limits of operations",
        8000,
        "How much of the schema an operation may ask for; the query of code generators costs about 4,100.",
        ge=1,
    )
    trusted_documents: Path | None = _setting(
        "Limits of operations",
        None,
        "A directory with the only documents that are served: .graphql files, and .json manifests of them by hash.",
    )
    persisted_documents: int = _setting(
        "Limits of operations",
        1000,
        "How many documents are kept that clients have sent with their hash, to name them by it; 0 = none.",
        ge=0,
    )
    document_cache: int = _setting(
        "Limits of operations", 1000, "How many GraphQL documents are kept parsed and validated.", ge=1
    )
    operation_seconds: float = _setting("Limits of operations", 10, "How long one query or mutation may take.", gt=0)
    max_header_bytes: int = _setting(
        "Limits of operations", 16_384, "How large the headers of a request may be, its address included.", ge=1024
    )
    header_seconds: float = _setting("Limits of operations", 10, "How long the headers may take to arrive.", gt=0)
    rate_limit_per_second: float = _setting(
        "Limits of operations",
        100,
        "How many operations and socket messages a user may send a second; 0 = any number. On an open gateway it goes "
        "by address, and the default is 0.",
        ge=0,
    )
    rate_limit_burst: int = _setting(
        "Limits of operations", 2000, "How many of them may come at once after a quiet time.", ge=1
    )

    max_message_bytes: int = _setting("WebSockets", 65_536, "How large a message from a client may be.", ge=1)
    max_subscriptions: int = _setting("WebSockets", 1000, "How many subscriptions one socket may have at once.", ge=1)
    max_sockets: int = _setting("WebSockets", 10_000, "How many sockets one process may have open.", ge=1)
    max_sockets_per_user: int = _setting(
        "WebSockets", 100, "How many of them one user may have open; 0 = any number.", ge=0
    )
    connection_init_seconds: float = _setting(
        "WebSockets", 3, "How long a new socket may take to send connection_init.", gt=0
    )
    ping_seconds: float = _setting("WebSockets", 25, "How often a socket is pinged to keep it alive; 0 = never.", ge=0)

    plans: bool = _setting(
        "Speed", True, "Compile simple operations into plans; without, graphql-core executes all of them."
    )
    fast_lane: bool = _setting(
        "Speed", True, "Answer planned operations where requests are parsed; without, all go through the application."
    )

    log_format: Literal["text", "json"] = _setting(
        "Logging", "text", "text for people, json for one JSON object per line."
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "Logging", "info", "The least level that is logged."
    )
    access_log: bool = _setting("Logging", True, "Log a line for every request.")

    _origins: Origins = PrivateAttr()
    _roles: dict[str, dict[str, Any]] = PrivateAttr()

    @property
    def origins(self) -> Origins:
        """Where each value came from."""
        return self._origins

    @property
    def rules(self) -> Rules:
        """What users are held to: the limits, and the role names if roles are configured."""
        limits = Limits(
            record_bytes=self.max_record_bytes,
            custom_keys=self.max_custom_keys,
            push_tokens=self.max_push_tokens,
            emails=self.max_emails,
            phones=self.max_phones,
        )
        return Rules(limits, frozenset(self._roles) if self.roles else None)

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

    @property
    def app_roles(self) -> dict[str, dict[str, Any]]:
        """Each role's settings by its name, as the file had them at start-up."""
        return self._roles

    @property
    def is_open(self) -> bool:
        """Whether no tokens are checked."""
        return self.secret is None and self.jwks_url is None

    @property
    def syncing(self) -> ClientUserSyncing:
        """What user tokens may write."""
        return ClientUserSyncing(self.client_user_syncing)

    @property
    def origins_allowed(self) -> tuple[str, ...]:
        """The origins in ``cors_origins``."""
        return tuple(self.cors_origins.split(",")) if self.cors_origins else ()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature of the base class
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read flags, environment and .env file, and note which value came from which."""
        named = [
            ("environment", _variables(env_settings)),
            (".env file", _variables(dotenv_settings)),
        ]
        flags = init_settings.init_kwargs if isinstance(init_settings, InitSettingsSource) else {}
        origins = Origins.of(tuple(cls.model_fields), flags, named)
        noted = InitSettingsSource(settings_cls, {_ORIGINS: origins})
        return noted, init_settings, env_settings, dotenv_settings

    @model_validator(mode="wrap")
    @classmethod
    def _check_whole(cls, values: dict[str, Any], handler: ModelWrapValidatorHandler[Settings]) -> Settings:
        origins: Origins = values.pop(_ORIGINS)
        problems = {name: f"{name} is not a setting." for name in origins.other_flags}
        if values.get("env") == "production":
            values = {"graphiql": False, "introspection": False} | values
        if not values.get("secret") and not values.get("jwks_url"):
            values = {"rate_limit_per_second": 0} | values
        try:
            self = handler(values)
        except ValidationError as error:
            for detail in error.errors():
                name = str(detail["loc"][0])
                given = describe(name, detail["input"], origins)
                sentence = detail.get("ctx", {}).get("error") or f"It must be {expected(cls.model_fields[name])}."
                if name == "port":
                    sentence = explain_port(detail["input"]) or sentence
                problems[name] = f"{given} {sentence}"
            # What is bad is left at its default, so that the good values can be checked together at once.
            self = handler({name: value for name, value in values.items() if name not in problems})
        roles, role_problems = read_roles(self.roles) if self.roles else (OPEN_ROLES, [])
        more = [f"{describe('roles', str(self.roles), origins)} {problem}" for problem in role_problems]
        more += check_together(self, origins, frozenset(problems))
        if problems or more:
            ordered = sorted(problems, key=lambda name: [*cls.model_fields, name].index(name))
            raise SettingsError([*(problems[name] for name in ordered), *more])
        self._origins = origins
        self._roles = roles
        return self


def load_settings(flags: Mapping[str, Any] | None = None, env_file: Path | None = None) -> Settings:
    """Return the settings with ``flags`` (names of fields to values) over the environment and ``env_file`` (``.env``).

    Raises SettingsError.
    """
    path = env_file or Path(".env")
    try:
        return Settings(_env_file=path, **dict(flags or {}))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path} cannot be read: {error}."]) from None


def sources(settings: Settings) -> dict[str, str]:
    """Return where each field's value came from: "flag", "environment", ".env file" or "default"."""
    return dict(settings.origins.of_fields)


def settings_warnings(settings: Settings) -> list[str]:
    """Return a sentence for each ``USERLINE_*`` variable that means nothing to this version."""
    return settings.origins.warnings([variable_of(name) for name in Settings.model_fields])


def _variables(source: PydanticBaseSettingsSource) -> Mapping[str, str | None]:
    return source.env_vars if isinstance(source, EnvSettingsSource) else {}
