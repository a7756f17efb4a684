"""Runs a real nginx with the configuration in deploy/."""

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
from typing import Self

import pytest
import trustme
from clocks import wait_until
from valkey import free_port

HOST = "calendar.example.org"
STATE_FOLDER = "/var/lib/nginx"
"""Created by Debian's package; nginx creates folders in it, but none above it."""

# The relevant parts of Debian's nginx.conf, with the folders of this test.
_MAIN = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    gzip on;
    access_log {folder}/access.log;
    client_body_temp_path {folder}/client_body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


def program() -> str:
    """The path of nginx; skips the test where it is not installed."""
    path = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if path is not None:
        return path
    pytest.skip("nginx is missing: `make test-deps` installs it")


def with_certificate(site: str) -> str:
    """Change *site* as ``certbot --nginx`` (5.8) does: TLS, and a server that redirects to it."""
    plain = re.compile(r"^ *listen .*80;\n", re.MULTILINE)
    listen = "".join(plain.findall(site))
    tls = (
        f"    listen 443 ssl; # managed by Certbot\n"
        f"    ssl_certificate /etc/letsencrypt/live/{HOST}/fullchain.pem; # managed by Certbot\n"
        f"    ssl_certificate_key /etc/letsencrypt/live/{HOST}/privkey.pem; # managed by Certbot\n"
    )
    redirect = (
        "server {\n"
        f"    if ($host = {HOST}) {{\n"
        "        return 301 https://$host$request_uri;\n"
        "    } # managed by Certbot\n\n"
        f"{listen}"
        f"    server_name {HOST};\n"
        "    return 404; # managed by Certbot\n"
        "}\n"
    )
    return plain.sub("", site).rstrip().removesuffix("}") + tls + "}\n\n" + redirect


class Nginx:
    """nginx on loopback, with *site* except for its ports, certificates and folders.

    Args:
        site: the configuration.
        replacements: addresses in *site* → the addresses to use instead.
        folder: for all files that nginx writes.
    """

    def __init__(self, site: str, replacements: Mapping[str, str], folder: Path) -> None:
        self._folder = folder
        self._plain, self._secure = free_port(), free_port()
        self._context = ssl.create_default_context()
        (folder / "site.conf").write_text(self._adapted(site, replacements), encoding="utf-8")
        (folder / "nginx.conf").write_text(_MAIN.format(folder=folder), encoding="utf-8")
        log = str(folder / "error.log")
        self._command = [program(), "-c", str(folder / "nginx.conf"), "-e", log]
        self._process: subprocess.Popen[bytes] | None = None

    def _adapted(self, site: str, replacements: Mapping[str, str]) -> str:
        patterns = {
            r"listen \[::\].*;\n": "",
            r"listen 80;": f"listen 127.0.0.1:{self._plain};",
            re.escape(STATE_FOLDER): str(self._folder),
            **{re.escape(shipped): local for shipped, local in replacements.items()},
        }
        if "ssl_certificate" in site:
            authority = trustme.CA()
            authority.configure_trust(self._context)
            leaf = authority.issue_cert("127.0.0.1", HOST)
            leaf.private_key_and_cert_chain_pem.write_to_path(str(self._folder / "certificate.pem"))
            patterns[r"listen 443 "] = f"listen 127.0.0.1:{self._secure} "
            patterns[r"/etc/letsencrypt/\S+\.pem"] = f"{self._folder}/certificate.pem"
        for pattern, replacement in patterns.items():
            site, count = re.subn(pattern, replacement, site)
            assert count, f"the configuration has no {pattern}"
        return site

    def check(self) -> subprocess.CompletedProcess[str]:
        """``nginx -t``."""
        return subprocess.run([*self._command, "-t"], capture_output=True, text=True, check=False)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command)
        for _ in range(500):
            assert self._process.poll() is None, "nginx did not start"
            try:
                socket.create_connection(("127.0.0.1", self._plain), timeout=1).close()
            except OSError:
                time.sleep(0.01)
            else:
                return self
        raise RuntimeError("nginx does not listen")

    def __exit__(self, *error: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(10)

    def get(
        self, path: str, headers: Mapping[str, str] | None = None, *, secure: bool = False
    ) -> tuple[int, Message, bytes]:
        """Request *path*; return status, headers and body."""
        connection = (
            http.client.HTTPSConnection(
                "127.0.0.1", self._secure, timeout=20, context=self._context
            )
            if secure
            else http.client.HTTPConnection("127.0.0.1", self._plain, timeout=20)
        )
        try:
            connection.request("GET", path, headers={"Host": HOST, **(headers or {})})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def logged(self, *, until: str) -> str:
        """Wait until *until* is in the logs; return their text."""

        def text() -> str:
            logs = (self._folder / name for name in ("access.log", "error.log"))
            return "".join(log.read_text(encoding="utf-8") for log in logs)

        wait_until(lambda: until in text(), seconds=5, why=f"{until} is in no log")
        return text()

    def stored(self) -> bytes:
        """The contents of nginx's cache."""
        files = (path for path in (self._folder / "feeds").rglob("*") if path.is_file())
        return b"".join(file.read_bytes() for file in files)
