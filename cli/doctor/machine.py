"""Checks the limits of the machine: open files, waiting connections, the port."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING, Final

from userline.cli.doctor.findings import advice, ok, problem
from userline.gateway.server import BACKLOG
from userline.server.listeners import is_file, listening
from userline.settings.checks import split_address

if TYPE_CHECKING:
    from userline.cli.doctor.findings import Finding
    from userline.settings.settings import Settings

_OTHER_FILES: Final = 512
"""What a process needs beside its sockets: HTTP connections, the store's and the bus's, the log, modules."""

_SOMAXCONN: Final = Path("/proc/sys/net/core/somaxconn")


def examine_files(settings: Settings) -> Finding:
    """Compare the limit of open files with the sockets that are allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.max_sockets + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return ok("files", f"A process may open {_count(soft)} files, for {settings.max_sockets:,} sockets.")
    judge = problem if settings.env == "production" else advice
    raised = f"ulimit -n {needed}" if hard == resource.RLIM_INFINITY or hard >= needed else "ulimit -Hn as root"
    return judge(
        "files",
        f"A process may open {_count(soft)} files, but USERLINE_MAX_SOCKETS allows {settings.max_sockets:,} sockets. "
        "Above the limit of files, new connections fail without an answer.",
        f"Raise the limit ({raised}; LimitNOFILE={needed} in a systemd unit; --ulimit nofile={needed} for a "
        f"container), or set USERLINE_MAX_SOCKETS={max(soft - _OTHER_FILES, 1)}.",
    )


def examine_backlog(path: Path = _SOMAXCONN) -> Finding | None:
    """Look whether the kernel lets as many connections wait as the gateway asks for; None where it does not tell."""
    try:
        most = int(path.read_text())
    except (OSError, ValueError):
        return None
    if most >= BACKLOG:
        return ok("network", f"{BACKLOG:,} connections may wait to be accepted.")
    return advice(
        "network",
        f"{most:,} connections may wait to be accepted, instead of {BACKLOG:,}. When many clients reconnect at the "
        "same time, some have to try again after seconds.",
        f"sysctl -w net.core.somaxconn={BACKLOG}",
    )


def examine_addresses(settings: Settings) -> list[Finding]:
    """Look whether the addresses can be listened on."""
    found = [_examine_address(host, settings.port, "USERLINE_HOST", "USERLINE_PORT") for host in settings.hosts]
    if settings.metrics_address is not None:
        host, port = split_address(settings.metrics_address)
        found.append(_examine_address(host, int(port), "USERLINE_METRICS_ADDRESS", "USERLINE_METRICS_ADDRESS"))
    return found


def _examine_address(host: str, port: int, host_set_by: str, port_set_by: str) -> Finding:
    where = host if is_file(host) else f"{host}, port {port}"
    try:
        with listening(host, port, backlog=1):
            pass
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return advice(
                "address",
                f"A program already listens on {where}.",
                f"If it is this gateway, nothing is wrong. Otherwise stop that program, or set {port_set_by}.",
            )
        return problem(
            "address",
            f"The gateway cannot listen on {where}: {os.strerror(error.errno) if error.errno else error}.",
            f"Set {host_set_by} to an address of this machine (0.0.0.0 for all), and {port_set_by} to 1024 or above.",
        )
    return ok("address", f"{where} is free.")


def _count(files: int) -> str:
    return "any number of" if files == resource.RLIM_INFINITY else f"{files:,}"
