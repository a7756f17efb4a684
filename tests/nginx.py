"""A real nginx, with the configuration that is shipped."""

import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Mapping
from email.message import Message
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
import trustme
from valkey import free_port

_HOST = "calendar.example.org"


def program() -> str:
    """Where nginx is; the test is skipped where there is none."""
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is not None:
        return found
    if os.environ.get("CI") == "true":
        raise RuntimeError("no nginx; `make test-deps` installs one")
    pytest.skip("no nginx on this machine")


class Nginx:
    """nginx on loopback; only ports, certificate and folders are others than those of *site*.

    Args:
        site: the configuration.
        moved: further addresses and folders in it, and what stands here for each.
        folder: for whatever it writes.
    """

    def __init__(self, site: str, moved: Mapping[str, str], folder: Path) -> None:
        self._folder = folder
        self._plain, self._secure = free_port(), free_port()
        authority = trustme.CA()
        leaf = authority.issue_cert("127.0.0.1", _HOST)
        leaf.private_key_and_cert_chain_pem.write_to_path(str(folder / "both.pem"))
        self._context = ssl.create_default_context()
        authority.configure_trust(self._context)
        here = self._moved(site, moved)
        temporary = "".join(
            f"{name}_temp_path {folder}/{name};\n"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off;\nmaster_process off;\npid {folder}/pid;\n"
            f"error_log {folder}/error.log;\nevents {{}}\n"
            f"http {{\naccess_log {folder}/access.log;\n{temporary}{here}\n}}\n",
            encoding="utf-8",
        )
        self._process: subprocess.Popen[bytes] | None = None

    def _moved(self, site: str, moved: Mapping[str, str]) -> str:
        for shipped, here in (
            (r"listen \[::\].*;\n", ""),
            (r"listen 80;", f"listen 127.0.0.1:{self._plain};"),
            (r"listen 443 ", f"listen 127.0.0.1:{self._secure} "),
            (r"/etc/letsencrypt/\S+\.pem", f"{self._folder}/both.pem"),
            *((re.escape(there), here) for there, here in moved.items()),
        ):
            site, many = re.subn(shipped, here, site)
            assert many, f"the configuration has no {shipped} any more"
        return site

    def __enter__(self) -> Self:
        log = str(self._folder / "error.log")
        self._process = subprocess.Popen(
            [program(), "-c", str(self._folder / "nginx.conf"), "-e", log]
        )
        for _ in range(500):
            assert self._process.poll() is None, "nginx did not start"
            try:
                socket.create_connection(("127.0.0.1", self._secure), timeout=1).close()
            except OSError:
                time.sleep(0.01)
            else:
                return self
        raise RuntimeError("nginx does not listen")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(10)

    def get(
        self, path: str, headers: Mapping[str, str] | None = None, *, secure: bool = True
    ) -> tuple[int, Message, bytes]:
        """Status, headers and body of what is there."""
        connection = (
            http.client.HTTPSConnection(
                "127.0.0.1", self._secure, timeout=20, context=self._context
            )
            if secure
            else http.client.HTTPConnection("127.0.0.1", self._plain, timeout=20)
        )
        try:
            connection.request("GET", path, headers={"Host": _HOST, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def logged(self, *, until: str) -> str:
        """What stands in its logs, once *until* does."""
        for _ in range(500):
            logs = (self._folder / name for name in ("access.log", "error.log"))
            found = "".join(log.read_text(encoding="utf-8") for log in logs)
            if until in found:
                return found
            time.sleep(0.01)
        raise AssertionError(f"{until} is in no log")
