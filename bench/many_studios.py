"""Many studios in one deployment: memory, start, requests to upstream, and the peace of neighbours.

    python -m bench.many_studios [--studios 200] [--sessions 500]

Two workers and one Valkey server; the upstream runs in this process, on the same machine. All times
include its work. Of two hundred studios one hangs and one is flooded, and the others are measured.
"""

import argparse
import json
import random
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from werkzeug.test import run_wsgi_app

from bench import servers, studio
from bridge.sandbox.api import TOKEN, create_api
from bridge.sandbox.http_server import SandboxServer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_CLIENTS = 16
_SECONDS = 15
_FEEDS = 10
HANGING, FLOODED = 0, 1
"""The numbers of the studios with these faults."""


class Upstream:
    """The API of all studios: the same responses below ``/<number>``, recorded and counted.

    Attributes:
        counts: requests by number of the studio.
        hanging: numbers of studios that get no response for a minute.
    """

    def __init__(self, sessions: int) -> None:
        self.counts: Counter[int] = Counter()
        self.hanging: set[int] = set()
        self._responses: dict[tuple[str, str], tuple[str, list[tuple[str, str]], bytes]] = {}
        self._api = create_api(
            studio.studio(sessions), token=TOKEN, requests_per_minute=100_000_000
        )
        self._inner = self._api.wsgi_app
        self._api.wsgi_app = self._answer  # type: ignore[method-assign]  # Flask's way
        self.server = SandboxServer(self._api)

    def _answer(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        number, _, path = environ["PATH_INFO"].removeprefix("/").partition("/")
        environ["PATH_INFO"] = f"/{path}"
        self.counts[int(number)] += 1
        if int(number) in self.hanging:
            time.sleep(60)
        address = (path, environ["QUERY_STRING"])
        if address not in self._responses:
            chunks, status, fields = run_wsgi_app(self._inner, environ)
            self._responses[address] = (status, [*fields], b"".join(chunks))
        status, headers, body = self._responses[address]
        start_response(status, headers.copy())
        return [body]


def main() -> None:
    """Measure, and print one line for each figure."""
    parser = argparse.ArgumentParser(prog="bench.many_studios")
    parser.add_argument("--studios", type=int, default=200)
    parser.add_argument("--sessions", type=int, default=500)
    arguments = parser.parse_args()
    upstream = Upstream(arguments.sessions)
    with upstream.server, _bridge(upstream, arguments.studios) as (bridge, started):
        print(f"start until /healthz answers: {started:.1f} s")
        print(f"memory after the start: {bridge.megabytes():.0f} MB")
        _measure(bridge, upstream, range(arguments.studios))


def _measure(bridge: servers.Server, upstream: Upstream, numbers: Sequence[int]) -> None:
    began = time.monotonic()
    addresses = [_address(number, 0) for number in numbers]
    _report("cold, the first feed of each studio", _take(bridge, iter(addresses)))
    print(f"memory with a copy of each studio: {bridge.megabytes():.0f} MB")
    every = [_address(number, feed) for number in numbers for feed in range(_FEEDS)]
    _take(bridge, iter(every))
    _report(f"warm, {len(every)} feeds", _take(bridge, _for_a_while(every)))
    print(f"memory with {len(every)} warm feeds: {bridge.megabytes():.0f} MB")

    others = [address for address in every if not address.startswith(("/s/s0/", "/s/s1/"))]
    alone = _take(bridge, _for_a_while(others))
    _report("the others, before", alone)
    upstream.hanging.add(HANGING)
    with _load(bridge, lambda: f"/s/s{HANGING}/venues/{random.randrange(10**6)}.ics?past=300"):
        _report(
            "the others, while one studio's upstream hangs", _take(bridge, _for_a_while(others))
        )
    upstream.hanging.clear()
    with _load(bridge, lambda: f"/s/s{FLOODED}/sessions.ics?venues={random.randrange(10**6)}"):
        _report("the others, while one studio is flooded", _take(bridge, _for_a_while(others)))
    with _load(bridge, lambda: random.choice(others)):
        _report("the others, with the same load on all", _take(bridge, _for_a_while(others)))
    minutes = (time.monotonic() - began) / 60
    rates = [upstream.counts[number] / minutes for number in numbers if number > FLOODED]
    print(
        f"requests to upstream per studio and minute, in {minutes:.1f} minutes:"
        f" {statistics.mean(rates):.1f} on average, {max(rates):.1f} at most"
    )


def _address(number: int, feed: int) -> str:
    return f"/s/s{number}/venues/{1 + feed}.ics"


@contextmanager
def _bridge(upstream: Upstream, count: int) -> Iterator[tuple[servers.Server, float]]:
    """A bridge of *count* studios with two workers, and the seconds of its start."""
    tables = "\n".join(
        f'[[studio]]\nslug = "s{number}"\ntoken = {json.dumps(TOKEN)}\n'
        f'teamup_base_url = "{upstream.server.origin}/{number}/api/v2"'
        for number in range(count)
    )
    with tempfile.TemporaryDirectory() as folder, servers.valkey() as store:
        file = Path(folder) / "studios.toml"
        file.write_text(tables, encoding="utf-8")
        began = time.monotonic()
        with servers.bridge(
            "",
            TEAMUP_API_TOKEN="",
            STUDIOS=str(file),
            CACHE_URL=store,
            WEB_CONCURRENCY="2",
            LOG_LEVEL="error",
        ) as bridge:
            yield bridge, time.monotonic() - began


def _take(bridge: servers.Server, addresses: Iterator[str]) -> list[tuple[int, float]]:
    """The status and seconds of each request; sixteen clients send them."""
    lock = threading.Lock()

    def client(_: int) -> list[tuple[int, float]]:
        taken: list[tuple[int, float]] = []
        with requests.Session() as session:
            while True:
                with lock:
                    address = next(addresses, None)
                if address is None:
                    return taken
                began = time.perf_counter()
                response = session.get(bridge.url + address, timeout=60)
                taken.append((response.status_code, time.perf_counter() - began))

    with ThreadPoolExecutor(_CLIENTS) as pool:
        return [result for results in pool.map(client, range(_CLIENTS)) for result in results]


def _for_a_while(addresses: Sequence[str], seconds: float = _SECONDS) -> Iterator[str]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield random.choice(addresses)


@contextmanager
def _load(bridge: servers.Server, address: Callable[[], str]) -> Iterator[None]:
    """Send requests from as many clients as are measured, for the duration of the block."""
    ended = threading.Event()

    def send() -> None:
        with requests.Session() as session:
            while not ended.is_set():
                session.get(bridge.url + address(), timeout=60)

    threads = [threading.Thread(target=send, daemon=True) for _ in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join(70)


def _report(name: str, taken: Sequence[tuple[int, float]]) -> None:
    seconds = sorted(second for _, second in taken)
    statuses: Any = dict(Counter(status for status, _ in taken))
    print(
        f"{name}: {len(seconds)} requests {statuses},"
        f" median {1000 * statistics.median(seconds):.0f} ms,"
        f" p99 {1000 * seconds[int(0.99 * len(seconds))]:.0f} ms",
        flush=True,
    )


if __name__ == "__main__":
    main()
