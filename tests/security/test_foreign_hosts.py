"""The token is sent only to the configured host, whatever URLs upstream returns."""

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
from bridge.ops.webhook import DeliveryError, Webhook

FEED = "/venues/11.ics"
TRAP = "127.0.0.2"
NAMES = ("elsewhere.example", "127.0.0.1.elsewhere.example", "goteamup.com.elsewhere.example")


class Trap(RawUpstream):
    """A server that must get no request; every host name resolves to it."""

    def __init__(self) -> None:
        super().__init__(studios.healthy())
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
        """Everything that reached the trap: name lookups, connections, requests."""
        visits: list[Any] = [*self.looked_up, *self.requests]
        while True:
            try:
                connection, address = self.elsewhere.accept()
            except BlockingIOError:
                return visits
            connection.close()
            visits.append(address)


@pytest.fixture
def trap(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trap]:
    real = socket.getaddrinfo
    with Trap() as server:

        def resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
            name = host.decode() if isinstance(host, bytes) else str(host)
            if name != "127.0.0.1":
                server.looked_up.append(name)
                host = TRAP
            return real(host, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        yield server


def trap_urls(trap: Trap, teamup: RawUpstream) -> list[str]:
    """URLs that lead to the trap; some look like the configured one."""
    host = teamup.url.removeprefix("http://").partition("/")[0]
    path = "/api/v2/course_sessions?page=2"
    return [
        f"http://127.0.0.1:{trap.port}{path}",
        f"http://{TRAP}:{trap.port}{path}",
        *(f"http://{name}:{trap.port}{path}" for name in NAMES),
        f"http://{host}@elsewhere.example:{trap.port}{path}",
        f"http://{host}.elsewhere.example{path}",
        f"http://{host}#@{TRAP}:{trap.port}{path}",
        f"http://{host}\\@{TRAP}:{trap.port}{path}",
        f"//{TRAP}:{trap.port}{path}",
        f"https://{TRAP}:{trap.port}{path}",
        f"HTTP://{TRAP}:{trap.port}{path}",
    ]


def responses_with(address: str) -> dict[str, Script]:
    """All kinds of responses that contain the URL *address*."""
    rows = studios.all_rows()
    for row in rows:
        row["customer_url"] = row["provider_url"] = row["venue"]["video_url"] = address
        row["instructors"][0]["picture_url"] = address
    parts = ("instructors", "venue", "venue_room", "course", "offering_type",
             "small_session_attendances")  # fmt: skip
    collections = [
        {name: address if name in parts else value for name, value in row.items()} for row in rows
    ]

    def linked(body: bytes, pages: int) -> Script:
        """A page with links to others."""
        whole = json.loads(body)
        links = {"next": address, "previous": address if pages == 1 else None}
        return raw.ok(json.dumps({**whole, "count": pages * whole["count"], **links}).encode())

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
        "created-201": studios.by_list(lambda body: raw.status(201, headers, body), rows),
        "headers": studios.by_list(lambda body: raw.ok(body, headers), rows),
        "error": raw.status(403, headers),
        "next": studios.by_list(lambda body: linked(body, 1), rows),
        "next-of-more": studios.by_list(lambda body: linked(body, 2), rows),
        "collections": studios.healthy(collections),
    }


KINDS = tuple(responses_with("http://x.example/"))


@pytest.mark.parametrize("kind", KINDS)
def test_no_url_in_a_response_is_requested(
    make_site: Callable[..., Site], teamup: RawUpstream, trap: Trap, kind: str
) -> None:
    site = make_site()
    addresses = trap_urls(trap, teamup)
    for address in addresses:
        teamup.script = responses_with(address)[kind]
        for walker in site.parts.walkers.values():
            before = len(teamup.requests)
            with suppress(UpstreamError):
                walker.walk(FilterSet(past=30))
            assert len(teamup.requests) > before
    for path in ("/", "/sessions", "/sessions.json", "/status"):
        site.request(path)
    assert trap.visitors == []
    for request in teamup.requests:
        lists = (b"GET /api/v2/course_sessions?", b"GET /api/v2/events?")
        assert request.startswith(lists)
        assert f"Authorization: Bearer {canaries.TOKEN}".encode() in request
        assert b"Cookie" not in request
        assert b"Referer" not in request


def test_proxy_and_netrc_settings_are_ignored(
    make_site: Callable[..., Site],
    teamup: RawUpstream,
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
    site = make_site()
    assert site.request(FEED).status_code == 200
    assert trap.visitors == []
    assert all(f"Bearer {canaries.TOKEN}".encode() in request for request in teamup.requests)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_webhook_follows_no_redirect(trap: Trap, code: int) -> None:
    target = f"http://elsewhere.example:{trap.port}/"
    with RawUpstream(raw.redirect(target, code)) as hook:
        with pytest.raises(DeliveryError, match=f"answers with {code}"):
            Webhook(hook.url).post(b"{}", {})
        assert len(hook.requests) == 1
    assert trap.visitors == []


def test_the_trap_records_lookups_connections_and_requests(trap: Trap) -> None:
    for address in ((TRAP, trap.port), ("127.0.0.1", trap.port), (NAMES[0], trap.port)):
        with socket.create_connection(address) as connection:
            if address[0] == "127.0.0.1":
                connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
                assert connection.recv(1)
        assert trap.visitors
        trap.requests.clear()
        trap.looked_up.clear()
