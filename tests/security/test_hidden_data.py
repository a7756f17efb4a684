"""Hidden data does not change public responses: compares studios that differ only in it."""

import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from clocks import wait_until
from faults.scenarios import STALE, FastClock, cache_state
from security import studios
from security.sites import Site, all_paths, some_paths
from upstreams.raw import RawUpstream
from upstreams.rows import Row

from bridge.config import Availability

FEED = "/venues/11.ics"
OPTIONS = (
    "availability=none", "availability=full", "availability=spots",
    *(f"occupancy_status={status}" for status in
      ("full", "not_full", "has_registrations", "has_waitlist", "empty")),
)  # fmt: skip
UNKNOWN = 19_998
"""The id of no class and of no session."""
VARYING_HEADERS = ("Age", "Cache-Status", "X-Request-Id", "Date")
Answer = tuple[int, list[tuple[str, str]], bytes]


class Sites:
    """Creates bridges that all start at the same time."""

    def __init__(self, build: Callable[..., Site], teamup: RawUpstream, clock: FastClock) -> None:
        self._build = build
        self._vendor = teamup
        self._clock = clock

    def of(self, rows: list[Any], **settings: Any) -> Site:
        """Create a bridge in front of a studio with these rows."""
        self._vendor.script = studios.healthy(rows)
        return self._build(**settings)

    def refresh(self, site: Site, rows: list[Any]) -> None:
        """Replace the studio's rows and refresh *site*."""
        self._vendor.script = studios.healthy(rows)
        self._clock.move(STALE)
        wait_until(lambda: cache_state(site.request(FEED)) == "fresh")


@pytest.fixture
def sites(make_site: Callable[..., Site], teamup: RawUpstream, fast_clock: FastClock) -> Sites:
    return Sites(make_site, teamup, fast_clock)


@pytest.fixture(scope="module")
def site(make_shared_site: Callable[..., Site]) -> Site:
    """A bridge in front of the whole timetable."""
    return make_shared_site()


def public_responses(site: Site, sample: int | None = None) -> dict[str, Answer]:
    """All public responses, in every format and with every availability option.

    Args:
        sample: the number of a sample of the paths, instead of all paths.
    """
    paths = all_paths(site.app) if sample is None else some_paths(site.app, sample)
    for option in OPTIONS:
        paths += [f"/sessions.{form}?{option}" for form in ("ics", "json", "txt")]
        paths.append(f"/sessions?{option}")
    out: dict[str, Answer] = {}
    for path in paths:
        answer = site.request(path)
        # The date of a page is the time of the walk.
        page = ("Last-Modified",) if answer.mimetype == "text/html" else ()
        head = [pair for pair in answer.headers if pair[0] not in (*VARYING_HEADERS, *page)]
        out[path] = (answer.status_code, head, answer.data)
    return out


def differing(first: dict[str, Answer], second: dict[str, Answer]) -> list[str]:
    return [path for path in first if first[path] != second[path]]


def booked(attending: int, capacity: int | None) -> list[Row]:
    """The public sessions with these counts."""
    rows = studios.public_rows()
    for row in rows:
        row.update(attending_count=attending, max_occupancy=capacity, waiting_count=attending)
    return rows


CASES = (
    (Availability.NONE, ((3, 12), (12, 12)), True),
    (Availability.NONE, ((0, 12), (7, None)), True),
    (Availability.FULL, ((0, 12), (11, None)), True),
    (Availability.FULL, ((12, 12), (15, 12)), True),
    (Availability.SPOTS, ((1, 13), (3, 14)), True),
    # Visible differences, to show that the comparison works.
    (Availability.FULL, ((3, 12), (12, 12)), False),
    (Availability.SPOTS, ((0, 12), (7, 12)), False),
)


@pytest.mark.parametrize("number", range(len(CASES)))
def test_counts_that_are_not_public_change_no_response(sites: Sites, number: int) -> None:
    availability, counts, same = CASES[number]
    # The even samples have the public records.
    sample = 2 * number
    before, after = (booked(*pair) for pair in counts)
    site = sites.of(before, public_availability=availability)
    first = public_responses(site, sample)
    # Neither the initial counts nor a later booking may be visible.
    other = public_responses(sites.of(after, public_availability=availability), sample)
    sites.refresh(site, after)
    differences = [differing(first, other), differing(first, public_responses(site, sample))]
    assert differences == [[], []] if same else all(differences)


@pytest.mark.parametrize("availability", [Availability.NONE, Availability.FULL])
def test_queries_for_more_availability_than_is_public_are_refused(
    make_site: Callable[..., Site], availability: Availability
) -> None:
    site = make_site(public_availability=availability)
    refused = {"availability=spots", "occupancy_status=has_registrations",
               "occupancy_status=has_waitlist", "occupancy_status=empty"}  # fmt: skip
    if availability is Availability.NONE:
        refused |= {"availability=full", "occupancy_status=full", "occupancy_status=not_full"}
    for option in OPTIONS:
        for path in ("/sessions.ics", "/sessions.json", "/venues/11", "/embed/sessions"):
            status = site.request(f"{path}?{option}").status_code
            assert status == (400 if option in refused else 200), (path, option)
        command = site.app.test_cli_runner().invoke(args=["feed", f"sessions.json?{option}"])
        assert command.exit_code == (1 if option in refused else 0)


def without_secrets(row: Row) -> Row:
    """*row* without the fields that TeamUp only shows to staff."""
    copy = deepcopy(row)
    for name in ("notes", "waiting_count", "attendees", "provider_url"):
        copy.pop(name)
    if studios.is_class(copy):
        copy.pop("small_session_attendances")
        copy["description"] = copy["description"].replace(f"<p>{studios.MEETING_LINK}</p>", "")
    copy["venue"].update(zoom_user=None, video_url=None, venue_rooms=[])
    for person in copy["instructors"]:
        for name in ("permissions", "email", "staff", "availability_schedules", "icalendar_links"):
            person.pop(name)
    return copy


@pytest.mark.parametrize("identity", [studios.APPOINTMENT, studios.PRIVATE_CLASS])
@pytest.mark.parametrize(
    "path", ["/classes/{}", "/classes/{}.ics", "/classes/{}.json", "/classes/{}.txt",
             "/embed/classes/{}", "/embed/classes/{}?view=week"],
)  # fmt: skip
def test_a_private_class_or_appointment_is_as_unknown_as_one_that_does_not_exist(
    site: Site, path: str, identity: int
) -> None:
    hidden, unknown = (site.request(path.format(number)) for number in (identity, UNKNOWN))
    assert hidden.status_code == unknown.status_code
    # The colour of a calendar depends on its address.
    texts = [re.sub(r"COLOR:.*", "", answer.text) for answer in (hidden, unknown)]
    assert texts[0].replace(str(identity), str(UNKNOWN)) == texts[1]


def test_the_id_of_a_class_does_not_open_a_session_of_a_course_with_the_same_id(site: Site) -> None:
    pairs = ((studios.CLASS, studios.PRIVATE), (studios.PRIVATE_CLASS, studios.FULL))
    for class_, session in pairs:
        assert class_ == session
    shown = {
        path: [event["object"] for event in site.request(f"{path}.json").json]
        for class_, session in pairs
        for path in (f"/classes/{class_}", f"/sessions/{session}")
    }
    assert shown == {
        f"/classes/{studios.CLASS}": ["event"],
        f"/sessions/{studios.PRIVATE}": [],
        f"/classes/{studios.PRIVATE_CLASS}": [],
        f"/sessions/{studios.FULL}": ["course_session"],
    }


def test_hidden_sessions_and_fields_change_no_response(sites: Sites) -> None:
    bare = public_responses(sites.of([without_secrets(row) for row in studios.public_rows()]))
    whole = public_responses(sites.of(studios.all_rows()))
    assert differing(bare, whole) == []
    one_more = [*studios.all_rows(), {**studios.public_rows()[0], "id": 19_999}]
    assert differing(bare, public_responses(sites.of(one_more))) != []
