"""All settings together, and their checks.

A value comes from a flag, else from a ``USERLINE_*`` environment variable, else from an ``.env`` file, else it is the
default. An empty variable counts as one that is not set.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ModelWrapValidatorHandler, PrivateAttr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from userline.settings.env_file import unreadable_lines
from userline.settings.fields import Fields
from userline.settings.files import read_files
from userline.settings.origins import PREFIX, SECRETS, Origins, describe, variable_of
from userline.settings.problems import SettingsError, expected, explain_port
from userline.settings.roles import OPEN_ROLES, read_roles
from userline.settings.together import check_together, find_weak_secrets
from userline.users.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import SecretStr

_ORIGINS = "where the values come from"


class Settings(Fields, BaseSettings):
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

    _origins: Origins = PrivateAttr()
    _roles: dict[str, dict[str, Any]] = PrivateAttr()
    _lines: dict[str, list[str]] = PrivateAttr(default_factory=dict)

    @property
    def origins(self) -> Origins:
        """Where each value came from."""
        return self._origins

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """The secrets that tokens may be signed with; the first one signs."""
        return tuple(dict.fromkeys(secret for name in SECRETS for secret in self.secrets_of(name)))

    def secrets_of(self, name: str) -> list[bytes]:
        """Return the secrets of one setting: several only if a file has them."""
        secret: SecretStr | None = getattr(self, name)
        given = [] if secret is None else self._lines.get(name) or [secret.get_secret_value()]
        return [one.encode() for one in given]

    def update_from(self, names: Iterable[str], newer: Settings) -> None:
        """Take the values that ``newer`` has of these settings, for whoever reads them here from now on."""
        for name in names:
            self.__dict__[name] = getattr(newer, name)  # nobody else may: the model is frozen
            self._origins.of_fields[name] = newer.origins.of_fields[name]
            self._lines.pop(name, None)
            if name in newer._lines:
                self._lines[name] = newer._lines[name]

    @property
    def rules(self) -> Rules:
        """What users are held to: the limits, and the role names if roles are configured."""
        return Rules(self.user_limits, frozenset(self._roles) if self.roles else None)

    @property
    def app_roles(self) -> dict[str, dict[str, Any]]:
        """Each role's settings by its name, as the file had them at start-up."""
        return self._roles

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
        files = read_files(values, origins)
        problems |= files.problems
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
        self._lines = files.lines
        bad = frozenset(problems) | {name.removesuffix("_file") for name in files.problems}
        roles, role_problems = read_roles(self.roles) if self.roles else (OPEN_ROLES, [])
        more = [f"{describe('roles', str(self.roles), origins)} {problem}" for problem in role_problems]
        more += check_together(self, {name: self.secrets_of(name) for name in SECRETS}, origins, bad)
        if problems or more:
            ordered = sorted(problems, key=lambda name: [*cls.model_fields, name].index(name))
            raise SettingsError([*(problems[name] for name in ordered), *more], self.log_format)
        self._origins = origins
        self._roles = roles
        return self


def load_settings(flags: Mapping[str, Any] | None = None, env_file: Path | None = None) -> Settings:
    """Return the settings with ``flags`` (names of fields to values) over the environment and ``env_file`` (``.env``).

    Raises SettingsError.
    """
    path = env_file or Path(".env")
    unreadable: list[str] = []
    try:
        unreadable = unreadable_lines(path)
        settings = Settings(_env_file=path, **dict(flags or {}))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path} cannot be read: {error}."], log_format_of(flags or {})) from None
    except SettingsError as error:
        raise SettingsError([*unreadable, *error.problems], error.log_format) from None
    if unreadable:
        raise SettingsError(unreadable, settings.log_format)
    return settings


def log_format_of(flags: Mapping[str, Any]) -> str | None:
    """Return the format of the log that flags or the environment ask for, where the ``.env`` file cannot be read."""
    named = {name.upper(): value for name, value in os.environ.items()}
    log_format: str | None = flags.get("log_format") or named.get(variable_of("log_format"))
    return log_format


def settings_warnings(settings: Settings) -> list[str]:
    """Return what is allowed and yet probably a mistake: a sentence for each."""
    return unknown_variables(settings) + weak_secrets(settings)


def unknown_variables(settings: Settings) -> list[str]:
    """Return a sentence for each ``USERLINE_*`` variable that means nothing to this version."""
    return settings.origins.warnings([variable_of(name) for name in Settings.model_fields])


def weak_secrets(settings: Settings) -> list[str]:
    """Return a sentence for each secret that is taken in development alone."""
    secrets = {name: settings.secrets_of(name) for name in SECRETS}
    return [] if settings.env == "production" else find_weak_secrets(secrets, settings.origins)


def _variables(source: PydanticBaseSettingsSource) -> Mapping[str, str | None]:
    return source.env_vars if isinstance(source, EnvSettingsSource) else {}
