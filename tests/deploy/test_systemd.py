"""The unit for systemd: read by systemd's own programs, and its command run as it stands."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.deploy.proxies import DEPLOY
from tests.support.needed import program as command
from userline.settings.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

UNIT = DEPLOY / "userline.service"
MOST_EXPOSURE = 2.0


def setting(name: str) -> list[str]:
    """Return the values of a setting of the unit."""
    return re.findall(rf"(?m)^{name}=(.*)$", UNIT.read_text())


def test_systemd_understands_it(tmp_path: Path) -> None:
    program = command("systemd-analyze")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/userline/bin/userline", sys.executable))
    checked = subprocess.run([program, "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    ours = [line for line in (checked.stdout + checked.stderr).splitlines() if UNIT.name in line]
    assert ours == []


def test_it_may_do_little() -> None:
    program = command("systemd-analyze")
    judged = subprocess.run(
        [program, "security", "--offline=true", "--no-pager", UNIT], capture_output=True, text=True, check=False
    )
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", judged.stdout)
    assert exposure, judged.stdout + judged.stderr
    assert float(exposure[1]) <= MOST_EXPOSURE


def test_its_command_is_one_of_ours(tmp_path: Path) -> None:
    (tmp_path / "settings").write_text("USERLINE_SECRET=a-secret-that-is-long-enough-for-anybody\n")

    def filled(text: str) -> str:
        return text.replace("%S", str(tmp_path)).replace("/etc/userline/userline.env", str(tmp_path / "settings"))

    (start,) = setting("ExecStart")
    program, serve, *flags = shlex.split(filled(start))
    assert (program.rsplit("/", 1)[-1], serve) == ("userline", "serve")
    environment = dict(filled(each).split("=", 1) for each in setting("Environment"))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("USERLINE_")}
    printed = subprocess.run(
        [sys.executable, "-m", "userline", "settings", "--json", *flags],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"sqlite:///{tmp_path}/userline/userline.db" in printed.stdout
    assert "long-enough" not in printed.stdout


def test_a_stop_has_the_time_that_it_needs() -> None:
    (seconds,) = setting("TimeoutStopSec")
    assert int(seconds) > load_settings({}).drain_seconds + 10
