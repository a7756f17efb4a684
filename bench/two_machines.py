"""Two machines that share a Valkey server, behind nginx with ``deploy/nginx.conf``.

Run as ``python -m bench.two_machines``. Each machine is a process with its own port, one worker and
its own memory; they share only the store.
"""

import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import requests

from bench import servers, studio
from bench.load import load
from bench.servers import Server
from bridge.sandbox.http_server import SandboxServer

_SESSIONS = 2_000
_FEED = "/venues/1.ics"
_LOAD_SECONDS = 4
_SHORT_TTL = 10
_OPERATOR = "a-token-for-the-bench"
_REQUESTS = re.compile(r"^bridge_requests_total\{.*\} ([\d.e+]+)$", re.MULTILINE)


@dataclass(frozen=True)
class Site:
    """Two machines, the proxy in front of them, and upstream."""

    front: Server
    machines: Sequence[Server]
    upstream: SandboxServer


@dataclass(frozen=True)
class Results:
    """The results of the measurement.

    Attributes:
        upstream_requests: number of requests to upstream during the measurement.
        pages: number of requests in one walk.
        validators: the distinct pairs of ``ETag`` and ``Last-Modified`` of the feed.
        same_bytes: whether both machines and nginx sent the same bytes.
        cache_states: the state of nginx's cache for each response.
        rate: responses per second of nginx under load.
        responses: number of responses of nginx under load.
        passed_on: number of these requests that reached a machine.
    """

    upstream_requests: int
    pages: int
    validators: frozenset[tuple[str, str]]
    same_bytes: bool
    cache_states: tuple[str, ...]
    rate: float
    responses: float
    passed_on: float


@contextmanager
def site(**settings: str) -> Iterator[Site]:
    """Two machines, a Valkey, and nginx in front.

    Args:
        settings: further environment variables of both machines.
    """
    with ExitStack() as stack:
        upstream, _ = stack.enter_context(studio.upstream(_SESSIONS))
        store = stack.enter_context(servers.valkey())
        machines = [
            stack.enter_context(
                servers.bridge(
                    upstream.url,
                    CACHE_URL=store,
                    TRUSTED_PROXIES="1",
                    OPERATOR_TOKEN=_OPERATOR,
                    **settings,
                )
            )
            for _ in range(2)
        ]
        front = stack.enter_context(servers.nginx_as_shipped(*machines))
        yield Site(front, machines, upstream)


def measure() -> Results:
    """Request a feed from both machines and from nginx, then put nginx under load."""
    with site(REFRESH_AHEAD="off") as running:
        front, machines = running.front, running.machines
        responses = [server.get(_FEED) for server in (*machines, front)]
        states = [responses[-1].headers["X-Cache"]]
        states += [front.get(_FEED).headers["X-Cache"] for _ in range(3)]
        unmodified = front.get(_FEED, If_None_Match=responses[-1].headers["ETag"])
        states.append(f"{unmodified.headers['X-Cache']} ({unmodified.status_code})")
        before = sum(_request_count(machine) for machine in machines)
        under_load = load(front.url + _FEED, seconds=_LOAD_SECONDS)
        # One of the two metrics requests to each machine is counted.
        passed_on = sum(_request_count(machine) for machine in machines) - before - len(machines)
        return Results(
            upstream_requests=len(running.upstream.requests),
            pages=-(-_SESSIONS // 100),
            validators=frozenset(
                (response.headers["ETag"], response.headers["Last-Modified"])
                for response in responses
            ),
            same_bytes=len({response.content for response in responses}) == 1,
            cache_states=tuple(states),
            rate=under_load.rate,
            responses=under_load.rate * _LOAD_SECONDS,
            passed_on=passed_on,
        )


def maximum_age() -> float:
    """Read a feed through nginx for three times CACHE_TTL; the highest age, in seconds."""
    with site(CACHE_TTL=str(_SHORT_TTL)) as running:
        highest = 0.0
        end = time.monotonic() + 3 * _SHORT_TTL
        while time.monotonic() < end:
            highest = max(highest, _age(running.front.get(_FEED)))
            time.sleep(0.1)
        return highest


def report(results: Results, age: float) -> str:
    """The results as a list in Markdown.

    Args:
        age: the result of :func:`maximum_age`.
    """
    same = "the same" if results.same_bytes else "NOT the same"
    pairs = "is one pair" if len(results.validators) == 1 else "are several pairs"
    states = ", ".join(results.cache_states)
    return (
        f"- upstream got {results.upstream_requests} requests; one walk of this provider is"
        f" {results.pages} pages\n"
        f"- bytes are {same} at both machines and behind nginx; there {pairs} of `ETag` and"
        " `Last-Modified`\n"
        f"- the states of nginx's cache, one response after the other: {states}\n"
        f"- under load nginx gave {results.rate:,.0f} responses per second, and"
        f" {results.passed_on:.0f} of {results.responses:,.0f} requests reached a machine\n"
        f"- with `CACHE_TTL={_SHORT_TTL}` no response of nginx was older than {age:.0f} seconds (a"
        " lifetime is up to a tenth longer, and nginx counts whole seconds)\n"
    )


def _request_count(machine: Server) -> float:
    """How many requests a machine has answered."""
    metrics = machine.get("/metrics", Authorization=f"Bearer {_OPERATOR}").text
    return sum(float(count) for count in _REQUESTS.findall(metrics))


def _age(response: requests.Response) -> float:
    """Seconds since the walk: at the bridge, and in nginx, which keeps the bridge's ``Date``."""
    answered = parsedate_to_datetime(response.headers["Date"]).timestamp()
    return int(response.headers["Age"]) + time.time() - answered


if __name__ == "__main__":
    sys.stdout.write(report(measure(), maximum_age()))
