"""Disks for tests: small ones, to be filled or turned read-only, and one that hangs."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from tests.support.needed import not_permitted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_FORCE, _DETACH = 1, 2  # of umount2(2)

# Of FUSE's protocol, fuse(4).
_INIT: Final = 26
_GREETING_BYTES: Final = 64
_REQUEST_BYTES: Final = 131_072


class SmallDisk:
    """A file system in memory, at ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self, leave: int = 0) -> Path:
        """Fill it up, but for ``leave`` bytes; deleting the file that is returned makes room again."""
        ballast = self.path / "ballast"
        with ballast.open("wb") as file:
            free = os.statvfs(self.path)
            os.posix_fallocate(file.fileno(), 0, max(1, free.f_frsize * free.f_bfree - leave))
        return ballast

    def remount(self, option: str) -> None:
        """Mount it again, "ro" or "rw"."""
        subprocess.run(["mount", "-o", f"remount,{option}", str(self.path)], check=True, capture_output=True)


@contextmanager
def small_disk(path: Path, size: str = "4m") -> Iterator[SmallDisk]:
    """Mount one at a directory that is made for it; skips the test where this user may not mount."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    mounted = subprocess.run(mount, check=False, capture_output=True)
    if mounted.returncode:
        not_permitted(f"this user may not mount a small disk: {mounted.stderr.decode().strip()}")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True, capture_output=True)


class HungDisk:
    """A file system that answers nothing: who looks at ``path`` waits in the kernel, where SIGKILL ends nobody.

    It speaks FUSE with the kernel as far as it must: it answers the greeting, and reads what is asked after it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path / "file"
        self._mounted = os.fsencode(path)
        self._device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self._device},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}"
        if _LIBC.mount(b"hung", self._mounted, b"fuse", 0, options.encode()):
            os.close(self._device)
            raise OSError(ctypes.get_errno(), "mount")
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Have everybody who waits go on, with an error."""
        _LIBC.umount2(self._mounted, _FORCE | _DETACH)
        self._thread.join()
        os.close(self._device)

    def _serve(self) -> None:
        with suppress(OSError):  # ENODEV: it is not mounted any more
            while True:
                request = os.read(self._device, _REQUEST_BYTES)
                _, operation, unique = struct.unpack_from("=IIQ", request)
                if operation == _INIT:
                    greeting = struct.pack("=IIIIHHII", 7, 31, 0, 0, 16, 16, 65_536, 1).ljust(_GREETING_BYTES, b"\0")
                    os.write(self._device, struct.pack("=IiQ", 16 + len(greeting), 0, unique) + greeting)


@contextmanager
def hung_disk(path: Path) -> Iterator[HungDisk]:
    """Mount one at a directory that is made for it; skips the test where this user may not mount."""
    path.mkdir()
    try:
        disk = HungDisk(path)
    except OSError as error:
        not_permitted(f"this user may not mount with FUSE: {error}")
    try:
        yield disk
    finally:
        disk.end()
