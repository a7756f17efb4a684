"""A made-up provider of any size, behind the sandbox's API."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from bridge.sandbox import records
from bridge.sandbox.api import TOKEN, create_api
from bridge.sandbox.faults import Faults
from bridge.sandbox.server import SandboxServer
from bridge.sandbox.studio import Studio, session

VENUES, INSTRUCTORS, TYPES = 200, 400, 400
"""As many as there are, of a provider with a thousand feeds."""


def studio(sessions: int, *, venues: int = VENUES, every: timedelta | None = None) -> Studio:
    """A studio with *sessions* from tomorrow on.

    Args:
        every: between the starts of two; by default they fill 80 days.
    """
    step = every or timedelta(days=80) / sessions
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
            for number in range(venues)
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
                venue=1 + number % venues,
                instructors=[1 + number % INSTRUCTORS],
                course=1 + number % TYPES,
            )
            for number in range(sessions)
        ],
    )


@contextmanager
def upstream(sessions: int, **shape: object) -> Iterator[tuple[SandboxServer, Faults]]:
    """The studio's API on loopback, and what goes wrong with it."""
    faults = Faults()
    made = studio(sessions, **shape)  # type: ignore[arg-type]
    api = create_api(made, token=TOKEN, faults=faults, requests_per_minute=1_000_000)
    with SandboxServer(api) as server:
        yield server, faults
