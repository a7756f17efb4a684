"""Fuzz tests of the parsers of queries and of upstream responses."""

import io
import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import ical_validator
import pytest
from clocks import ManualClock, wait_until
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pace import at_once
from security import canaries, studios
from security.names import LINKS, NAMES
from security.sites import Site
from upstreams.raw import RawUpstream, head

from bridge import config, services
from bridge.config import Availability
from bridge.errors import BridgeError, ParameterError
from bridge.feeds import private
from bridge.feeds.formats import FORMATS
from bridge.feeds.formats.base import Content
from bridge.feeds.params import FeedDefaults, feed_spec
from bridge.feeds.selection import select
from bridge.feeds.spec import Audience, FeedSpec, Kind, TimeStyle
from bridge.filter_params import MAX_ID, PARAMETERS, filters_of_key
from bridge.filters import FilterSet
from bridge.model import Published, Revision, Visibility
from bridge.snapshots.encoding import decode, encode
from bridge.snapshots.snapshot import Snapshot
from bridge.upstream import causes
from bridge.upstream.pagination import Walk
from bridge.upstream.parser import missing_fields, parse
from bridge.upstream.sources import SOURCES, Source

# A background refresh uses `random` for its pauses while an example is drawn.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")

ORIGIN = "https://goteamup.com"
DEFAULTS = FeedDefaults(
    30, 90, Audience(visibilities=frozenset(Visibility), availability=Availability.SPOTS)
)
FUZZ = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
KNOWN = (*PARAMETERS, "cancelled", "availability", "tz", "_", "utm_x", "start", "end", "timeZone")


@pytest.fixture(scope="module")
def teamup() -> Iterator[RawUpstream]:
    with RawUpstream(studios.healthy()) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def site(teamup: RawUpstream) -> Iterator[Site]:
    """A bridge whose clock skips all waits."""
    clock = ManualClock(studios.NOW)
    variables = {
        "TEAMUP_API_TOKEN": canaries.TOKEN,
        "TEAMUP_BASE_URL": teamup.url,
        "FEED_SIGNING_KEYS": ",".join(canaries.KEYS),
        "CACHE_URL": "memory://",
        "TEAMUP_REQUESTS_PER_MINUTE": "1000000",
    }
    parts = services.build(config.load(variables), clock=clock)
    site = Site(parts, io.StringIO())
    wait_until(lambda: site.client.get("/sessions.ics").status_code == 200)
    # Not before, because a walk that is skipped while it runs exceeds its deadline.
    clock.skip = True
    yield site
    parts.close()


anything = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)
names = st.one_of(st.sampled_from(KNOWN), anything, st.sampled_from(KNOWN).map(lambda n: n[:-1]))
values = st.one_of(
    anything,
    st.integers(-5, 2**70).map(str),
    st.lists(st.integers(0, 2**64).map(str), max_size=120).map(",".join),
    st.sampled_from(
        ["active", "full", "keep", "utc", "local", "hide", "spots", "none", "0", "365", "٣", "1_0"]
    ),
    st.datetimes().map(str),
    st.datetimes().map(lambda at: at.isoformat() + "Z"),
    st.dates().map(str),
    st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.+Z -]{0,20})?", fullmatch=True),
)
pairs = st.lists(st.tuples(names, values), max_size=8)
kinds = st.tuples(st.sampled_from(Kind), st.one_of(st.none(), st.integers(0, MAX_ID)))

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    anything,
    st.sampled_from([*NAMES, *LINKS, "2026-11-24T10:00:00Z", "2026-11-24T10:00:00", "public", ""]),
)
junk = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(anything, inner, max_size=4)
    ),
    max_leaves=12,
)


def paths_of(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values in a row."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for name, below in inner:
        yield (*before, name)
        if isinstance(below, dict | list):
            yield from paths_of(below, (*before, name))


PATHS = sorted({path for row in studios.public_rows() for path in paths_of(row)}, key=str)


@st.composite
def rows(draw: Any) -> Any:
    """A TeamUp row with junk in some places, or only junk."""
    if draw(st.integers(0, 9)) == 0:
        return draw(junk)
    row = deepcopy(draw(st.sampled_from(studios.all_rows())))
    for path in draw(st.lists(st.sampled_from(PATHS), max_size=4)):
        place = row
        for name in path[:-1]:
            # The parent may have been replaced by junk.
            place = place[name] if _has(place, name) else None
        if _has(place, path[-1]):
            place[path[-1]] = draw(junk)
    return row


def _has(place: Any, name: Any) -> bool:
    if isinstance(place, dict):
        return name in place
    return isinstance(place, list) and isinstance(name, int) and name < len(place)


def result_or_error(work: Callable[[], Any]) -> Any:
    """Return the result of *work*, or the `BridgeError` that it raises."""
    try:
        return work()
    except BridgeError as err:
        return err


def timed(work: Callable[[], Any]) -> Any:
    """Like `result_or_error`; fails if *work* takes 50 ms or more."""
    return at_once(lambda: result_or_error(work))


@FUZZ
@given(kinds, pairs)
@example((Kind.SESSION, None), [("venues", "1" * 5000)])
@example((Kind.SESSION, None), [("\ud800", "\udfff")])
@example((Kind.SESSION, None), [("past", "²")])
def test_a_query_is_parsed_or_refused_with_the_name_of_the_parameter(
    kind: tuple[Kind, int | None], query_pairs: list[tuple[str, str]]
) -> None:
    found = timed(lambda: feed_spec(*kind, query_pairs, DEFAULTS))
    if isinstance(found, ParameterError):
        # The message is sent in a response, on one line.
        assert str(found).isprintable()
        assert len(str(found)) < 700
        return
    assert isinstance(found, FeedSpec)
    # Parsing the canonical query again gives the same spec, and the cache key the same filter set.
    if found.session is not None:
        return
    again = feed_spec(*kind, parse_qsl(found.query), DEFAULTS)
    assert again == found
    assert filters_of_key(found.filter_set.key) == found.filter_set


@FUZZ
@given(st.one_of(anything, pairs.map(lambda all_: urlencode(all_, errors="replace"))))
def test_no_query_string_causes_an_internal_error(site: Any, query: str) -> None:
    for path in ("/sessions.json", "/sessions", "/embed/venues/11", "/venues/11.ics"):
        environ = {"QUERY_STRING": query.encode("utf-8", "replace").decode("latin-1")}
        answer = site.client.get(path, environ_overrides=environ)
        assert answer.status_code in (200, 400, 429, 503), query


@FUZZ
@given(anything)
def test_no_path_causes_an_internal_error(site: Any, text: str) -> None:
    raw = text.encode("utf-8", "replace").decode("latin-1")
    for before, after in (("/", ""), ("/venues/1-", ".ics"), ("/private/1", ".json"),
                          ("/embed/accent/", ".css"), ("/sessions/", "")):  # fmt: skip
        environ = {"PATH_INFO": f"{before}{raw}{after}"}
        status = site.client.get("/", environ_overrides=environ).status_code
        assert status in (200, 400, 404), text


@FUZZ
@given(anything)
def test_no_random_token_is_accepted(site: Any, text: str) -> None:
    feeds: private.PrivateFeeds = site.parts.private
    for token in (text, f"1{text}", f"1.{text}", f"1{text}.{text}"):
        assert isinstance(timed(lambda token=token: feeds.verify(token)), BridgeError)


REVISION = Revision(1, 1, 1, 1, 1, 1, 1)


@FUZZ
@given(st.lists(rows(), max_size=4), st.sampled_from([*SOURCES.values()]), st.booleans())
def test_parsed_rows_can_be_rendered_in_every_format(
    found: list[Any], source: Source, anonymous: bool
) -> None:
    # Through JSON and back, like a real response.
    sent = json.loads(json.dumps(found))
    missing_fields(sent, source, anonymous=anonymous)
    parsed = timed(lambda: parse(sent, source, ORIGIN, anonymous=anonymous))
    for session in parsed.sessions:
        assert session.title
        assert "\n" not in session.title
        for link in (session.booking_url, session.staff_url):
            assert link is None or (link.isascii() and " " not in link)
            assert link is None or urlsplit(link).scheme in ("http", "https")
    published = tuple(Published(session, REVISION) for session in parsed.sessions)
    snapshot = Snapshot(studios.NOW.timestamp(), 0.0, published, parsed.tally)
    assert {item.session for item in decode(encode(snapshot)).published} == set(parsed.sessions)
    for times in TimeStyle:
        options = [("tz", times.value), ("availability", "spots"), ("past", "365")]
        spec = feed_spec(Kind.SESSION, None, options, DEFAULTS)
        selection = select(snapshot, spec)
        content = Content(selection.shown, selection.subject, spec)
        events = ical_validator.check(FORMATS["ics"].render(content))
        assert len(list(events)) == len(selection.shown)
        assert len(json.loads(FORMATS["json"].render(content))) == len(selection.shown)
        assert FORMATS["txt"].render(content).decode()


@FUZZ
@given(st.integers(400, 599), junk, st.one_of(st.none(), anything, st.integers().map(str)))
def test_an_error_response_becomes_a_printable_cause(
    status: int, body: Any, retry_after: str | None
) -> None:
    cause = timed(
        lambda: causes.cause_of_response(status, body, retry_after, studios.NOW.timestamp())
    )
    assert cause.text.isprintable()
    assert cause.code.replace("_", "").isalnum()
    assert cause.retry_after is None or 1 <= cause.retry_after <= 300


@settings(FUZZ, max_examples=40)
@given(
    st.one_of(
        st.binary(max_size=300),
        junk.map(lambda value: json.dumps(value).encode()),
        st.dictionaries(st.sampled_from(["count", "next", "results"]), junk).map(
            lambda value: json.dumps(value).encode()
        ),
        st.lists(rows(), max_size=3).map(studios.page),
    )
)
def test_any_response_body_gives_a_walk_or_a_printable_cause(
    site: Any, teamup: Any, body: bytes
) -> None:
    teamup.script = lambda connection, request, n: connection.sendall(
        head(200, {"Content-Length": len(body)}) + body
    )
    for walker in site.parts.walkers.values():
        found = result_or_error(lambda walker=walker: walker.walk(FilterSet(past=30)))
        assert isinstance(found, Walk) or found.cause.text.isprintable()
