"""Response times while upstream accepts requests and never responds.

Waiting clients are connections on which a request was sent and no response is read, so that they
use no processor time during the measurement.
"""

import select
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial

from bench import servers, studio
from bench.load import CONNECTIONS, PATHS, load
from bench.servers import HOST, Server
from bench.table import Row
from bridge.snapshots.bulkhead import WAITING

# Longer than the bridge's timeout for a page.
_HANG_SECONDS = 60
_FEED = "/sessions.ics?past=0&future=44"
_KNOWN_FEEDS = [f"/venues/{1 + number}.ics" for number in range(20)]
# Before the provider-wide snapshot, so that requests to upstream are necessary.
_NEW_FEEDS = [f"/sessions.ics?starts_at_gte=2019-01-{1 + n % 28:02}&future={n}" for n in range(50)]
_CLIENTS = 200


def warm_feed() -> list[Row]:
    """A feed with a copy in the bridge, fresh and stale."""
    rows = []
    with (
        studio.upstream(200) as (upstream, faults),
        servers.bridge(upstream.url, CACHE_TTL="10") as bridge,
    ):
        bridge.get(_FEED)
        faults.set("delay", _HANG_SECONDS)
        for stale in (False, True):
            _wait_until(partial(_has_state, bridge, stale=stale))
            for connections, at_most in ((8, 5), (CONNECTIONS, 25)):
                load(bridge.url + _FEED, seconds=1, connections=connections)  # to warm up
                measured = load(bridge.url + _FEED, connections=connections)
                state = "stale" if stale else "fresh"
                name = f"{state} feed while upstream hangs, {connections} connections: p99"
                rows.append(Row(name=name, value=measured.p99, unit=" ms", at_most=at_most))
            assert _has_state(bridge, stale=stale), (
                "the load took longer than the feed stayed fresh"
            )
        faults.clear()
    return rows


def new_feeds() -> list[Row]:
    """Known feeds, while requests for new feeds wait for upstream."""
    with (
        studio.upstream(200) as (upstream, faults),
        servers.bridge(upstream.url) as bridge,
    ):
        for path in _KNOWN_FEEDS:
            bridge.get(path)
        load(bridge.url, seconds=1, script=PATHS, arguments=_KNOWN_FEEDS)  # to warm up
        faults.set("delay", _HANG_SECONDS)
        with _waiting_clients(bridge, _NEW_FEEDS) as clients:
            _wait_until(lambda: len(_answered(clients)) == len(clients) - WAITING)
            measured = load(bridge.url, seconds=4, script=PATHS, arguments=_KNOWN_FEEDS)
            assert len(_answered(clients)) < len(clients), "the load took longer than they waited"
        faults.clear()
    name = (
        f"{len(_KNOWN_FEEDS)} known feeds while {len(_NEW_FEEDS)} requests for new feeds wait,"
        f" {CONNECTIONS} connections: p99"
    )
    return [Row(name=name, value=measured.p99, unit=" ms", at_most=25)]


def many_clients() -> list[Row]:
    """A probe and a warm feed, while many clients wait for the same new feed."""
    with (
        studio.upstream(200) as (upstream, faults),
        servers.bridge(upstream.url) as bridge,
        ThreadPoolExecutor() as threads,
    ):
        bridge.get(_FEED)
        faults.set("delay", _HANG_SECONDS)
        paths = {"`/healthz`": "/healthz", "a warm feed": _FEED}
        # They start before the clients, and end while the clients still wait.
        futures = {
            name: threads.submit(load, bridge.url + path, seconds=5, connections=2)
            for name, path in paths.items()
        }
        time.sleep(0.5)
        with _waiting_clients(bridge, _NEW_FEEDS[:1] * _CLIENTS) as clients:
            time.sleep(1)
            refused = _answered(clients)
            loads = {name: future.result() for name, future in futures.items()}
            assert len(_answered(clients)) < len(clients), "the load took longer than they waited"
        faults.clear()
    assert set(refused) <= {b"HTTP/1.1 503"}, refused
    while_waiting = f"while {_CLIENTS} clients request one new feed"
    return [
        *(
            Row(name=f"{name} {while_waiting}: p99", value=measured.p99, unit=" ms", at_most=100)
            for name, measured in loads.items()
        ),
        Row(
            name=f"of these {_CLIENTS}, refused with 503 within a second",
            value=len(refused),
            unit="",
        ),
    ]


def _has_state(bridge: Server, *, stale: bool) -> bool:
    return ("stale" in bridge.get(_FEED).headers["Cache-Status"]) == stale


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError("the expected state was not reached within 30 seconds")
        time.sleep(0.1)


@contextmanager
def _waiting_clients(server: Server, paths: Sequence[str]) -> Iterator[list[socket.socket]]:
    """A connection for each of *paths*: the request is sent, and no response is read."""
    with ExitStack() as stack:
        clients = []
        for path in paths:
            client = stack.enter_context(socket.create_connection((HOST, server.port)))
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            clients.append(client)
        yield clients


def _answered(clients: Sequence[socket.socket]) -> list[bytes]:
    """The first bytes of the responses that have arrived."""
    readable, _, _ = select.select(clients, [], [], 0)
    return [client.recv(12, socket.MSG_PEEK) for client in readable]
