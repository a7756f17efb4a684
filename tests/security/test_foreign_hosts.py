"""The token goes to the configured host and nowhere else, wherever upstream points."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from security import canaries, studios
from security.sites import Site
from upstreams import raw
from upstreams.raw import RawUpstream, Script

from bridge.errors import UpstreamError
from bridge.filters import FilterSet
from bridge.ops.alerts import post

FEED = "/venues/11.ics"
TRAP = "127.0.0.2"
NAMES = ("elsewhere.example", "127.0.0.1.elsewhere.example", "goteamup.com.elsewhere.example")


class Trap(RawUpstream):
    """A server that nobody may ask anything, at an address of its own and under every name."""

    def __init__(self) -> None:
        super().__init__(raw.ok(studios.page(studios.every_row())))
        self.looked_up: list[str] = []

    def start(self) -> None:
        super().start()
        assert self._listener is not None
        self.elsewhere = socket.create_server((TRAP, self._port))
        self.elsewhere.settimeout(0.0)

    def stop(self) -> None:
        super().stop()
        self.elsewhere.close()

    @property
    def port(self) -> int:
        return self._port

    @property
    def visitors(self) -> list[Any]:
        """All that came of pointing here: names looked up, connections, requests."""
        came: list[Any] = [*self.looked_up, *self.requests]
        while True:
            try:
                connection, address = self.elsewhere.accept()
            except BlockingIOError:
                return came
            connection.close()
            came.append(address)


@pytest.fixture
def trap(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trap]:
    real = socket.getaddrinfo
    with Trap() as server:

        def resolve(host: Any, *given: Any, **named: Any) -> Any:
            name = host.decode() if isinstance(host, bytes) else str(host)
            if name != "127.0.0.1":
                server.looked_up.append(name)
                host = TRAP
            return real(host, *given, **named)

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        yield server


def leading(trap: Trap, vendor: RawUpstream) -> list[str]:
    """Addresses that lead to the trap, some of which look like the right one."""
    true = vendor.url.removeprefix("http://").partition("/")[0]
    path = "/api/v2/course_sessions?page=2"
    return [
        f"http://127.0.0.1:{trap.port}{path}",
        f"http://{TRAP}:{trap.port}{path}",
        *(f"http://{name}:{trap.port}{path}" for name in NAMES),
        f"http://{true}@elsewhere.example:{trap.port}{path}",
        f"http://{true}.elsewhere.example{path}",
        f"http://{true}#@{TRAP}:{trap.port}{path}",
        f"http://{true}\\@{TRAP}:{trap.port}{path}",
        f"//{TRAP}:{trap.port}{path}",
        f"https://{TRAP}:{trap.port}{path}",
        f"HTTP://{TRAP}:{trap.port}{path}",
    ]


def pointing(address: str) -> dict[str, Script]:
    """Every way in which an answer can point to *address*."""
    rows = studios.every_row()
    for row in rows:
        row["customer_url"] = row["provider_url"] = row["venue"]["video_url"] = address
        row["instructors"][0]["picture_url"] = address
    whole = {"count": len(rows), "next": address, "previous": address, "results": rows}
    more = {"count": 2 * len(rows), "next": address, "previous": None, "results": rows}
    collections = [{**row, "instructors": address, "venue": address, "course": address}
                   for row in rows]  # fmt: skip
    headers = {
        "Link": f'<{address}>; rel="next"',
        "Refresh": f"0; url={address}",
        "Alt-Svc": f'h2="{address}"',
        "Content-Location": address,
        "Location": address,
    }
    return {
        **{f"redirect-{code}": raw.redirect(address, code) for code in (301, 302, 303, 307, 308)},
        "redirect-300": raw.status(300, headers),
        "created-201": raw.status(201, headers, studios.page(rows)),
        "headers": raw.ok(studios.page(rows), headers),
        "error": raw.status(403, headers),
        "next": raw.ok(json.dumps(whole).encode()),
        "next-of-more": raw.ok(json.dumps(more).encode()),
        "collections": raw.ok(studios.page(collections)),
    }


WAYS = tuple(pointing("http://x.example/"))


@pytest.mark.parametrize("way", WAYS)
def test_no_answer_leads_anywhere_else(
    site_of: Callable[..., Site], vendor: RawUpstream, trap: Trap, way: str
) -> None:
    site = site_of()
    addresses = leading(trap, vendor)
    for address in addresses:
        vendor.script = pointing(address)[way]
        before = len(vendor.requests)
        with suppress(UpstreamError):
            site.parts.walker.walk(FilterSet(past=30))
        assert len(vendor.requests) > before
    for path in ("/", "/sessions", "/sessions.json", "/status"):
        site.ask(path)
    assert trap.visitors == []
    for request in vendor.requests:
        assert request.startswith(b"GET /api/v2/course_sessions?")
        assert f"Authorization: Bearer {canaries.TOKEN}".encode() in request
        assert b"Cookie" not in request
        assert b"Referer" not in request


def test_no_setting_of_the_machine_leads_anywhere_else(
    site_of: Callable[..., Site],
    vendor: RawUpstream,
    trap: Trap,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://{TRAP}:{trap.port}")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password canary-netrc\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    site = site_of()
    assert site.ask(FEED).status_code == 200
    assert trap.visitors == []
    assert all(f"Bearer {canaries.TOKEN}".encode() in one for one in vendor.requests)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_an_alert_goes_to_its_address_alone(trap: Trap, code: int) -> None:
    away = f"http://elsewhere.example:{trap.port}/"
    with RawUpstream(raw.redirect(away, code)) as hook:
        with pytest.raises(OSError, match="HTTP Error"):
            post(hook.url, b"{}")
        assert len(hook.requests) == 1
    assert trap.visitors == []


def test_the_trap_would_tell(trap: Trap) -> None:
    for address in ((TRAP, trap.port), ("127.0.0.1", trap.port), (NAMES[0], trap.port)):
        with socket.create_connection(address) as connection:
            if address[0] == "127.0.0.1":
                connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
                assert connection.recv(1)
        assert trap.visitors
        trap.requests.clear()
        trap.looked_up.clear()
