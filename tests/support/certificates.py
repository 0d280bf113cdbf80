"""Certificates of a CA of the test's own, made by openssl."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.support.needed import program

if TYPE_CHECKING:
    from pathlib import Path


class Authority:
    """A CA, and what it has signed, as files in a directory."""

    def __init__(self, directory: Path, name: str = "ca") -> None:
        program("openssl")
        self._directory = directory
        self._name = name
        self.certificate = directory / f"{name}.crt"
        self._openssl("req", "-x509", *self._new_key(name), "-subj", f"/CN={name}", "-out", self.certificate)

    def sign(self, name: str, *hosts: str) -> tuple[Path, Path]:
        """Return the files of a certificate for these hosts ("DNS:localhost", "IP:127.0.0.1"), and of its key."""
        certificate, key = self._directory / f"{name}.crt", self._directory / f"{name}.key"
        names = ("-addext", "subjectAltName=" + ",".join(hosts)) if hosts else ()
        issuer = ("-CA", self.certificate, "-CAkey", self._directory / f"{self._name}.key")
        usage = ("-addext", "basicConstraints=critical,CA:FALSE")
        self._openssl(
            "req", "-x509", *self._new_key(name), "-subj", f"/CN={name}", *names, *usage, *issuer, "-out", certificate
        )
        return certificate, key

    def _new_key(self, name: str) -> tuple[str | Path, ...]:
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
        return (*curve, "-keyout", self._directory / f"{name}.key")

    def _openssl(self, *words: str | Path) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=self._directory, timeout=20)
