"""What is hidden changes nothing that the public can see: two studios, told apart by that alone."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from faults.scenes import STALE, HurriedClock, eventually, how
from security import studios
from security.sites import Site, addresses
from upstreams.raw import RawUpstream
from upstreams.rows import Row

from bridge.config import Availability

FEED = "/venues/11.ics"
OPTIONS = (
    "availability=none", "availability=full", "availability=spots",
    *(f"occupancy_status={one}" for one in
      ("full", "not_full", "has_registrations", "has_waitlist", "empty")),
)  # fmt: skip
OF_EACH_ANSWER = ("Age", "Cache-Status", "X-Request-Id", "Date")
Answer = tuple[int, list[tuple[str, str]], bytes]


class Sites:
    """Bridges that all begin at the same moment."""

    def __init__(
        self, build: Callable[..., Site], vendor: RawUpstream, clock: HurriedClock
    ) -> None:
        self._build = build
        self._vendor = vendor
        self._clock = clock

    def of(self, rows: list[Any], **settings: Any) -> Site:
        """One in front of a studio with these rows."""
        self._vendor.script = studios.well(rows)
        return self._build(**settings)

    def refresh(self, site: Site, rows: list[Any]) -> None:
        """Let *site* see these."""
        self._vendor.script = studios.well(rows)
        self._clock.move(STALE)
        eventually(lambda: how(site.ask(FEED)) == "fresh")


@pytest.fixture
def sites(site_of: Callable[..., Site], vendor: RawUpstream, hurried: HurriedClock) -> Sites:
    return Sites(site_of, vendor, hurried)


def told(site: Site) -> dict[str, Answer]:
    """All that the public can have, in every form and with every option about places."""
    paths = addresses(site.app)
    for option in OPTIONS:
        paths += [f"/sessions.{form}?{option}" for form in ("ics", "json", "txt")]
        paths.append(f"/sessions?{option}")
    out: dict[str, Answer] = {}
    for path in paths:
        answer = site.ask(path)
        # a page's date is that of the walk, whatever is on it
        page = ("Last-Modified",) if answer.mimetype == "text/html" else ()
        head = [pair for pair in answer.headers if pair[0] not in (*OF_EACH_ANSWER, *page)]
        out[path] = (answer.status_code, head, answer.data)
    return out


def differing(one: dict[str, Answer], other: dict[str, Answer]) -> list[str]:
    return [path for path in one if one[path] != other[path]]


def booked(attending: int, capacity: int | None) -> list[Row]:
    """The studio, with these numbers at every class."""
    rows = studios.public_rows()
    for row in rows:
        row.update(attending_count=attending, max_occupancy=capacity, waiting_count=attending)
    return rows


@pytest.mark.parametrize(
    ("most", "numbers", "same"),
    [
        (Availability.NONE, ((3, 12), (12, 12)), True),
        (Availability.NONE, ((0, 12), (7, None)), True),
        (Availability.FULL, ((0, 12), (11, None)), True),
        (Availability.FULL, ((12, 12), (15, 12)), True),
        (Availability.SPOTS, ((1, 13), (3, 14)), True),
        # the comparison can tell
        (Availability.FULL, ((3, 12), (12, 12)), False),
        (Availability.SPOTS, ((0, 12), (7, 12)), False),
    ],
)
def test_numbers_that_are_not_told_change_nothing(
    sites: Sites, most: Availability, numbers: tuple[Any, Any], same: bool
) -> None:
    before, after = (booked(*given) for given in numbers)
    site = sites.of(before, public_availability=most)
    first = told(site)
    # neither what a bridge begins with, nor what changes when somebody books
    other = told(sites.of(after, public_availability=most))
    sites.refresh(site, after)
    differences = [differing(first, other), differing(first, told(site))]
    assert differences == [[], []] if same else all(differences)


@pytest.mark.parametrize("most", [Availability.NONE, Availability.FULL])
def test_questions_about_more_than_may_be_told_are_refused(
    site_of: Callable[..., Site], most: Availability
) -> None:
    site = site_of(public_availability=most)
    refused = {"availability=spots", "occupancy_status=has_registrations",
               "occupancy_status=has_waitlist", "occupancy_status=empty"}  # fmt: skip
    if most is Availability.NONE:
        refused |= {"availability=full", "occupancy_status=full", "occupancy_status=not_full"}
    for option in OPTIONS:
        for path in ("/sessions.ics", "/sessions.json", "/venues/11", "/embed/sessions"):
            status = site.ask(f"{path}?{option}").status_code
            assert status == (400 if option in refused else 200), (path, option)
        command = site.app.test_cli_runner().invoke(args=["feed", f"sessions.json?{option}"])
        assert command.exit_code == (1 if option in refused else 0)


def without_secrets(row: Row) -> Row:
    """*row* as it would be, had TeamUp nothing to say to staff."""
    bare = deepcopy(row)
    for name in ("notes", "waiting_count", "attendees", "provider_url"):
        bare.pop(name)
    bare["venue"].update(zoom_user=None, video_url=None, venue_rooms=[])
    for person in bare["instructors"]:
        for name in ("permissions", "email", "staff", "availability_schedules", "icalendar_links"):
            person.pop(name)
    return bare


def test_classes_and_fields_that_are_hidden_change_nothing(sites: Sites) -> None:
    bare = told(sites.of([without_secrets(row) for row in studios.public_rows()]))
    whole = told(sites.of(studios.every_row()))
    assert differing(bare, whole) == []
    one_more = [*studios.every_row(), {**studios.public_rows()[0], "id": 19_999}]
    assert differing(bare, told(sites.of(one_more))) != []
