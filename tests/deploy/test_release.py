"""The files of a release: one version, and the same bytes each time."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import userline

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def release() -> ModuleType:
    """The program that makes them."""
    loader = importlib.machinery.SourceFileLoader("release", str(ROOT / "scripts" / "release"))
    spec = importlib.util.spec_from_loader("release", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_everything_has_the_version_of_the_gateway(release: ModuleType) -> None:
    assert release.wrong_versions() == []


@pytest.mark.parametrize("version", ["9.9.9", userline.__version__ + "1", userline.__version__[:-1]])
def test_a_version_that_differs_anywhere_is_told(release: ModuleType, version: str) -> None:
    wrong = release.wrong_versions(version)
    assert len(wrong) == len(release.VERSIONS)
    assert all(f"the gateway is {version}" in sentence for sentence in wrong)


def test_the_chart_is_packed_the_same_each_time(release: ModuleType, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        release.pack_chart(tmp_path / name, 1_700_000_000)
    (one,), (two,) = (tmp_path / "one").iterdir(), (tmp_path / "two").iterdir()
    assert one.read_bytes() == two.read_bytes()
    with tarfile.open(one) as archive:
        assert {"userline/Chart.yaml", "userline/values.yaml", "userline/templates/deployment.yaml"} <= set(
            archive.getnames()
        )


def test_what_it_is_made_of_is_told_the_same_each_time(release: ModuleType, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        release.write_bills(tmp_path / name)
    ones = sorted((tmp_path / "one").iterdir())
    assert len(ones) == 2
    for file in ones:
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()
        assert json.loads(file.read_text())["components"]


@pytest.mark.parametrize("folder", [".", "clients/python"])
def test_the_distributions_are_built_the_same_each_time(folder: str, tmp_path: Path) -> None:
    environment = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
    for name in ("one", "two"):
        command = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path / name)]
        subprocess.run(command, cwd=ROOT / folder, env=environment, check=True, capture_output=True)
    built = sorted((tmp_path / "one").iterdir())
    assert [file.suffix for file in built] == [".whl", ".gz"] or len(built) == 2
    for file in built:
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name
