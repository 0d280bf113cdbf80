"""Fixtures for every room."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.gateway import RunningGateway, running
from tests.support.mongodb import running_mongo

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from tests.support.mongodb import MongoServer


# How fast this machine makes inputs, and how long it takes for one, says nothing about what is tested.
settings.register_profile("userline", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("userline")

LONG_FILES = (
    "test_on_redis.py",
    "test_on_postgres.py",
    "test_many_gateways.py",
    "test_peers.py",
    "test_side_by_side.py",
    "test_backup.py",
    "test_commands.py",
    "test_adding_a_field.py",
    "test_alerts.py",
    "test_causes.py",
    "test_keys_gone.py",
    "test_life.py",
    "test_mongo_follower.py",
    "test_rolling_restart.py",
    "test_secret_replacement.py",
    "test_plans.py",
    "test_chaos.py",
    "test_simulation.py",
)
"""Files that take long. They come first, so that none of them is alone at the end when files run side by side."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where only tests are wanted that run alone, import the files alone that have some."""
    if (
        config.option.markexpr == "alone"
        and collection_path.name.startswith("test_")
        and collection_path.suffix == ".py"
    ):
        return "mark.alone" not in collection_path.read_text() or None
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes long first."""
    items.sort(key=lambda item: LONG_FILES.index(item.path.name) if item.path.name in LONG_FILES else len(LONG_FILES))


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Escape what is no UTF-8 in a report: tests run side by side, and half a character in one would end them all."""
    return _sendable((yield))


def _sendable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {_sendable(key): _sendable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_sendable, value))
    return value


@pytest.fixture(scope="session")
def fast_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A real gateway that tests share; each uses user ids of its own."""
    yield from running(tmp_path_factory.mktemp("gateway"))


@pytest.fixture(scope="session")
def shortcut_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """Another one, without the fast lane: plain ASGI, with the shortcut before the application."""
    yield from running(tmp_path_factory.mktemp("shortcut-gateway"), "--no-fast-lane")


@pytest.fixture(scope="session")
def plain_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """Another one, without plans, so that neither the fast lane nor the shortcut has anything to answer."""
    yield from running(tmp_path_factory.mktemp("plain-gateway"), "--no-fast-lane", "--no-plans")


@pytest.fixture
def gateway(fast_gateway: RunningGateway) -> RunningGateway:
    """The gateway as it comes."""
    return fast_gateway


@pytest.fixture(params=["fast_gateway", "shortcut_gateway", "plain_gateway"])
def each_gateway(request: pytest.FixtureRequest) -> RunningGateway:
    """The gateway as it comes, then the one without the fast lane, then the one that goes by the ordinary way alone."""
    gateway: RunningGateway = request.getfixturevalue(request.param)
    return gateway


@pytest.fixture(scope="session")
def nx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    """A stand-in for MongoDB that tests share, each with databases of its own. Nobody stops it or holds it up."""
    with running_mongo(tmp_path_factory.mktemp("nx")) as server:
        yield server


@pytest.fixture
def own_nx(tmp_path: Path) -> Iterator[MongoServer]:
    """A stand-in for MongoDB for one test alone, which may stop it."""
    with running_mongo(tmp_path) as server:
        yield server


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is set: no ``USERLINE_*`` variable, and an empty working directory."""
    for name in os.environ:
        if name.upper().startswith("USERLINE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
