"""Two machines behind nginx that caches, sharing one Valkey: what comes out.

Run as ``python -m bench.two_machines``. The machines are processes with ports of their own; each
has a worker and a memory of its own, and the store is all that they share.
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bench import servers, studio
from bench.load import load
from bench.servers import Server

_SESSIONS = 2_000
_FEED = "/venues/1.ics"
_OPERATOR = "a-token-for-the-bench"
_ANSWERS = re.compile(r"^bridge_requests_total\{.*\} ([\d.e+]+)$", re.MULTILINE)

# As docs/deploy.md has it; a CDN is told the same by the headers of the answers.
HTTP = """
    proxy_cache_path {folder} keys_zone=feeds:10m max_size=1g inactive=7d use_temp_path=off;
    upstream bridge {{ server 127.0.0.1:{first}; server 127.0.0.1:{second}; keepalive 32; }}
"""
LOCATION = """
    location / {
        proxy_pass http://bridge;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Forwarded-Host $http_host;
        proxy_cache feeds;
        proxy_cache_key $scheme$http_host$request_uri;
        # how long is said by Cache-Control; of many who ask for the same, one is sent on
        proxy_cache_lock on;
        proxy_cache_revalidate on;
        proxy_cache_background_update on;
        proxy_cache_use_stale updating error timeout http_500 http_502 http_503 http_504;
        proxy_next_upstream error timeout http_502;
        add_header X-Cache $upstream_cache_status always;
    }
"""


@dataclass(frozen=True)
class Site:
    """The whole of it.

    Attributes:
        asked: counts the requests that reached upstream.
    """

    front: Server
    machines: Sequence[Server]
    upstream: object

    @property
    def asked(self) -> int:
        """Requests that upstream got."""
        return len(self.upstream.requests)  # type: ignore[attr-defined]


@contextmanager
def site() -> Iterator[Site]:
    """Two machines, a Valkey, and nginx in front."""
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
                    REFRESH_AHEAD="off",
                )
            )
            for _ in range(2)
        ]
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        # nginx gives its own work to another user
        os.chmod(folder, 0o755)
        first, second = (one.url.rpartition(":")[2] for one in machines)
        front = stack.enter_context(
            servers.nginx(
                LOCATION,
                http=HTTP.format(folder=f"{folder}/cache", first=first, second=second),
                path="/healthz",
            )
        )
        yield Site(front, machines, upstream)


def answers(machine: Server) -> float:
    """How many requests a machine has answered."""
    said = machine.get("/metrics", Authorization=f"Bearer {_OPERATOR}").text
    return sum(float(one) for one in _ANSWERS.findall(said))


@dataclass(frozen=True)
class Seen:
    """What came out.

    Attributes:
        walked: requests to upstream for all that follows.
        validators: the feed's ``ETag`` and ``Last-Modified`` at each machine and in front.
        alike: whether its bytes were the same at all of them.
        states: what nginx said of its cache, one answer after the other.
        rate: answers a second in front, under load.
        behind: how many of them reached a machine.
        total: how many there were.
    """

    walked: int
    pages: int
    validators: frozenset[tuple[str, str]]
    alike: bool
    states: tuple[str, ...]
    rate: float
    behind: float
    total: float


def look() -> Seen:
    """Start it, ask for a feed, and see."""
    with site() as one:
        got = [each.get(_FEED) for each in (*one.machines, one.front)]
        states = [got[-1].headers["X-Cache"]]
        states += [one.front.get(_FEED).headers["X-Cache"] for _ in range(3)]
        tag = got[-1].headers["ETag"]
        again = one.front.get(_FEED, If_None_Match=tag)
        states.append(f"{again.headers['X-Cache']} ({again.status_code})")
        before = sum(answers(each) for each in one.machines)
        loaded = load(one.front.url + _FEED, seconds=4)
        # the two questions for the figures are answers, too
        behind = sum(answers(each) for each in one.machines) - before - 2
        return Seen(
            walked=one.asked,
            pages=-(-_SESSIONS // 100),
            validators=frozenset(
                (each.headers["ETag"], each.headers["Last-Modified"]) for each in got
            ),
            alike=len({each.content for each in got}) == 1,
            states=tuple(states),
            rate=loaded.rate,
            behind=behind,
            total=loaded.rate * 4,
        )


def report(seen: Seen) -> str:
    """What came out, in words."""
    return (
        f"- upstream got {seen.walked} requests; one walk of this provider is {seen.pages} pages\n"
        f"- bytes are {'the same' if seen.alike else 'NOT the same'} at both machines and in front;"
        f" there {'is one pair' if len(seen.validators) == 1 else 'are several pairs'} of"
        " `ETag` and `Last-Modified`\n"
        f"- nginx said of its cache, one answer after the other: {', '.join(seen.states)}\n"
        f"- under load nginx gave {seen.rate:,.0f} answers a second, and {seen.behind:.0f} of"
        f" {seen.total:,.0f} reached a machine\n"
    )


if __name__ == "__main__":
    sys.stdout.write(report(look()))
