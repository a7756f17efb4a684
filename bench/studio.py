"""A fictitious provider of any size, behind the sandbox's API."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from werkzeug.test import run_wsgi_app

from bridge.sandbox import records
from bridge.sandbox.api import TOKEN, create_api
from bridge.sandbox.faults import Faults
from bridge.sandbox.http_server import SandboxServer
from bridge.sandbox.studio import Studio, session

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

VENUES, INSTRUCTORS, TYPES = 200, 400, 400
"""Each venue, instructor and type has a feed: a thousand feeds in all."""


def studio(sessions: int) -> Studio:
    """A studio with *sessions* sessions in the 80 days from tomorrow."""
    step = timedelta(days=80) / sessions
    first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    return Studio(
        venues=[
            records.venue(
                1 + number,
                f"Riverside Studio {number}",
                "Europe/London",
                address=f"{number} Wharf Road, Bristol, BS1 6QF, United Kingdom",
                lat=51.4472,
                lng=-2.5983,
            )
            for number in range(VENUES)
        ],
        instructors=[
            records.instructor(1 + number, f"Zoë Ashdown {number}") for number in range(INSTRUCTORS)
        ],
        categories=[records.category(1, "Yoga")],
        offering_types=[
            records.offering_type(
                1 + number,
                f"Vinyasa Flow {number}",
                category=1,
                description="<p>Bring a mat, a towel, water and a warm layer for the end.</p>",
            )
            for number in range(TYPES)
        ],
        courses=[
            records.course(1 + number, f"Vinyasa Flow {number}", 1 + number)
            for number in range(TYPES)
        ],
        sessions=[
            session(
                id=1 + number,
                starts_at=first + step * number,
                name=None,
                attending_count=number % 11,
                venue=1 + number % VENUES,
                instructors=[1 + number % INSTRUCTORS],
                course=1 + number % TYPES,
            )
            for number in range(sessions)
        ],
    )


@contextmanager
def upstream(sessions: int, *, pace: float | None = None) -> Iterator[tuple[SandboxServer, Faults]]:
    """The studio's API on loopback, and its faults.

    Args:
        pace: seconds for each response; responses are recorded and replayed.
    """
    faults = Faults()
    api = create_api(studio(sessions), token=TOKEN, faults=faults, requests_per_minute=1_000_000)
    if pace is not None:
        api.wsgi_app = _recorded(api.wsgi_app, pace)  # type: ignore[method-assign, assignment]  # Flask's way
    with SandboxServer(api) as server:
        yield server, faults


def _recorded(app: "WSGIApplication", pace: float) -> "WSGIApplication":
    """*app* with recorded responses, so that its own work does not slow down the measurement."""
    responses: dict[tuple[str, str], tuple[str, list[tuple[str, str]], bytes]] = {}

    def recorded(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        began = time.monotonic()
        address = (environ["PATH_INFO"], environ["QUERY_STRING"])
        if address not in responses:
            chunks, status, headers = run_wsgi_app(app, environ)
            responses[address] = (status, [*headers], b"".join(chunks))
        status, recorded_headers, body = responses[address]
        time.sleep(max(0.0, began + pace - time.monotonic()))
        start_response(status, recorded_headers.copy())
        return [body]

    return recorded
