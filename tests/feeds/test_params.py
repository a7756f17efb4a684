"""Query parameters: parsing into a feed specification, and errors."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from pace import at_once

from bridge.config import Availability
from bridge.errors import ParameterError
from bridge.feeds.params import FeedDefaults, feed_spec
from bridge.feeds.spec import Audience, Cancelled, FeedSpec, Kind, TimeStyle
from bridge.model import Visibility

bounded = settings(max_examples=100, deadline=None, derandomize=True)
RANGE = frozenset({"start", "end", "timeZone"})
ACCEPTED = (
    *("course", "venues", "instructors", "offering_types", "status", "occupancy_status"),
    *("starts_at_gte", "starts_at_lte", "ends_at_gte", "ends_at_lte"),
    *("local_starts_at_gte", "local_starts_at_lte", "start_gte", "start_lte"),
    *("past", "future", "cancelled", "availability", "tz"),
)


def defaults(
    availability: Availability = Availability.SPOTS, past: int = 30, future: int = 90
) -> FeedDefaults:
    audience = Audience(visibilities=frozenset((Visibility.PUBLIC,)), availability=availability)
    return FeedDefaults(past, future, audience)


def spec_of(
    address: str,
    feed_defaults: FeedDefaults | None = None,
    extra_params: frozenset[str] = frozenset(),
) -> FeedSpec:
    """The specification of the feed at *address*, such as ``/venues/1?past=7``."""
    parts = urlsplit(address)
    _, kind, *rest = parts.path.split("/")
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    identity = int(rest[0]) if rest else None
    return feed_spec(
        Kind(kind), identity, pairs, feed_defaults or defaults(), extra_params=extra_params
    )


def error_of(address: str, feed_defaults: FeedDefaults | None = None) -> ParameterError:
    with pytest.raises(ParameterError) as caught:
        spec_of(address, feed_defaults)
    return caught.value


# The meaning of each parameter


def test_the_object_of_the_path_is_in_the_filter_set() -> None:
    assert spec_of("/venues/12").filter_set.venues == (12,)
    assert spec_of("/instructors/12").filter_set.instructors == (12,)
    assert spec_of("/courses/12").filter_set.course == (12,)
    assert spec_of("/rooms/12").filter_set.rooms == (12,)
    assert spec_of("/types/12").filter_set.offering_types == (12,)
    assert spec_of("/sessions/12").filter_set.session == ("course_session", 12)
    assert spec_of("/classes/12").filter_set.session == ("event", 12)
    assert spec_of("/venues/12?instructors=5").filter_set.instructors == (5,)


def test_options_are_not_part_of_the_filter_set() -> None:
    plain, with_options = (
        spec_of("/venues/1"),
        spec_of("/venues/1?cancelled=keep&availability=spots"),
    )
    assert plain.filter_set == with_options.filter_set
    assert plain.name != with_options.name
    assert (plain.cancelled, plain.availability, plain.times) == (
        Cancelled.STATUS,
        Availability.NONE,
        TimeStyle.UTC,
    )
    assert (with_options.cancelled, with_options.availability) == (
        Cancelled.KEEP,
        Availability.SPOTS,
    )


@pytest.mark.parametrize(
    ("address", "past", "future"),
    [
        ("/venues/1", 30, 90),
        ("/instructors/1", 30, 90),
        ("/sessions", 30, 90),
        ("/venues/1?past=0", 0, 90),
        ("/venues/1?future=365", 30, 365),
        ("/venues/1?starts_at_gte=2026-10-20", None, 90),
        ("/venues/1?start_gte=2026-10-20", None, 90),
        ("/venues/1?ends_at_gte=2026-10-20", None, 90),
        ("/venues/1?local_starts_at_gte=2026-10-20", None, 90),
        ("/venues/1?ends_at_lte=2026-10-20", 30, None),
        ("/venues/1?starts_at_gte=2026-10-20&starts_at_lte=2026-10-21", None, None),
        ("/venues/1?starts_at_gte=2026-10-20&future=3", None, 3),
        # neither courses nor single sessions have a window
        ("/courses/1", None, None),
        ("/courses/1?past=7", 7, None),
        ("/courses/1?starts_at_gte=2026-10-20", None, None),
        ("/sessions/1", None, None),
    ],
)
def test_the_default_window_applies_unless_the_query_sets_bounds(
    address: str, past: int | None, future: int | None
) -> None:
    filter_set = spec_of(address).filter_set
    assert (filter_set.past, filter_set.future) == (past, future)


def test_the_default_window_is_configurable() -> None:
    filter_set = spec_of("/venues/1", defaults(past=1, future=2)).filter_set
    assert (filter_set.past, filter_set.future) == (1, 2)


def test_the_defaults_come_from_the_settings(settings: Callable[..., Any]) -> None:
    feed_defaults = FeedDefaults.of(
        settings(
            window_past_days=3,
            window_future_days=4,
            public_visibility=frozenset((Visibility.PRIVATE,)),
            public_availability=Availability.NONE,
        )
    )
    assert (feed_defaults.past, feed_defaults.future) == (3, 4)
    assert feed_defaults.audience.visibilities == {Visibility.PRIVATE}
    assert feed_defaults.audience.availability is Availability.NONE
    assert not feed_defaults.audience.private


# Ignored parameters


@pytest.mark.parametrize(
    "noise", ["_=.ics", "_=1&_=2", "utm_source=x", "utm_=", "fbclid=x", "gclid=x&utm_medium=y"]
)
def test_tracking_parameters_are_ignored(noise: str) -> None:
    for address in ("/venues/1", "/sessions", "/sessions/1", "/courses/1"):
        assert spec_of(f"{address}?{noise}") == spec_of(address)
    assert spec_of(f"/venues/1?past=7&{noise}") == spec_of("/venues/1?past=7")


@pytest.mark.parametrize("name", ["__", "fbclid2", "gclid_", "utm", "Utm_source", "UTM_source", ""])
def test_similar_names_are_rejected(name: str) -> None:
    error_of(f"/venues/1?{name}=x")


@pytest.mark.parametrize("name", sorted(RANGE))
def test_fullcalendars_range_is_ignored_if_the_format_takes_it_and_otherwise_rejected(
    name: str,
) -> None:
    address = f"/venues/1?{name}=2026-10-20"
    assert spec_of(address, extra_params=RANGE) == spec_of("/venues/1")
    assert error_of(address).parameter == name


def test_only_the_json_format_takes_fullcalendars_range(client: FlaskClient) -> None:
    query = "start=2026-11-23T00:00:00Z&end=2026-11-24T00:00:00Z&timeZone=UTC"
    assert client.get(f"/sessions.json?{query}").status_code == 200
    for form in ("ics", "txt"):
        for name in sorted(RANGE):
            answer = client.get(f"/sessions.{form}?{name}=2026-11-23")
            assert answer.status_code == 400
            assert repr(name) in answer.text


# The canonical query


@pytest.mark.parametrize(
    ("address", "query"),
    [
        ("/venues/1", ""),
        ("/venues/1?past=30&future=90", ""),
        ("/venues/1?cancelled=status&availability=none&tz=utc", ""),
        ("/venues/1?status=cancelled,active", ""),
        ("/venues/1?_=.ics&utm_source=x", ""),
        ("/venues/1?past=30&future=7", "future=7"),
        ("/courses/1?past=30", "past=30"),
        ("/sessions?venues=2,1,2", "venues=1%2C2"),
        ("/sessions?venues=2&venues=1", "venues=1%2C2"),
        ("/sessions?past=7&venues=1", "venues=1&past=7"),
        ("/venues/1?instructors=2,1", "instructors=1%2C2"),
        ("/instructors/1?venues=2", "venues=2"),
        ("/sessions?start_gte=2026-10-20", "starts_at_gte=2026-10-20T00%3A00%3A00Z"),
        ("/venues/1?availability=full&cancelled=hide", "availability=full&cancelled=hide"),
        ("/venues/1?cancelled=hide&availability=full", "availability=full&cancelled=hide"),
        ("/sessions/5?cancelled=keep", "cancelled=keep"),
        ("/sessions/5", ""),
    ],
)
def test_the_canonical_query_leaves_out_defaults_and_the_object_of_the_path(
    address: str, query: str
) -> None:
    assert spec_of(address).query == query


def test_the_canonical_query_depends_on_the_settings() -> None:
    assert spec_of("/venues/1?past=7", defaults(past=7)).query == ""
    assert spec_of("/venues/1?past=30", defaults(past=7)).query == "past=30"


@pytest.mark.parametrize(
    "address",
    ["/sessions?venues=2,1&status=active", "/venues/1?ends_at_lte=2026-10-20", "/venues/1"],
)
def test_an_address_ends_in_ics_and_has_no_separators(
    address: str,
) -> None:
    address_of_feed = spec_of(address).path(".ics")
    assert address_of_feed.endswith(".ics")
    assert not set(address_of_feed) & set(",; ")
    assert spec_of(address_of_feed.replace(".ics", "", 1)) == spec_of(address)


_values = {
    **dict.fromkeys(
        ("course", "venues", "instructors", "offering_types"),
        st.lists(st.integers(0, 99).map(str), min_size=1, max_size=4).map(",".join),
    ),
    "status": st.sampled_from(["active", "cancelled", "cancelled,active"]),
    "occupancy_status": st.sampled_from(["full", "not_full,full", "has_waitlist", "empty"]),
    "past": st.sampled_from(["0", "7", "30", "365"]),
    "future": st.sampled_from(["0", "7", "90", "365"]),
    "cancelled": st.sampled_from(["status", "keep", "hide"]),
    "availability": st.sampled_from(["none", "full", "spots"]),
    "tz": st.just("utc"),
}
_queries = st.lists(st.sampled_from(sorted(_values)), unique=True).flatmap(
    lambda names: st.tuples(*(st.tuples(st.just(name), _values[name]) for name in names))
)


@bounded
@given(
    _queries,
    st.sampled_from([("sessions", None), ("venues", 1), ("instructors", 1), ("courses", 1)]),
    st.randoms(use_true_random=False),
)
def test_the_canonical_address_gives_the_same_feed_for_every_order(
    pairs: tuple[tuple[str, str], ...], path: tuple[str, int | None], random: Any
) -> None:
    kind, identity = Kind(path[0]), path[1]
    own = {"venues": "venues", "instructors": "instructors", "courses": "course"}.get(path[0])
    pairs = tuple(pair for pair in pairs if pair[0] != own)
    spec = feed_spec(kind, identity, pairs, defaults())
    shuffled = random.sample(pairs, len(pairs))
    assert feed_spec(kind, identity, shuffled, defaults()) == spec
    again = feed_spec(kind, identity, parse_qsl(spec.query), defaults())
    assert again == spec
    assert again.query == spec.query


# Errors


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("venue", "venues"),
        ("Venues", "venues"),
        ("instructor", "instructors"),
        ("courses", "course"),
        ("offering_type", "offering_types"),
        ("types", "offering_types"),
        ("type", "offering_types"),
        ("stauts", "status"),
        ("occupancy", "occupancy_status"),
        ("starts_at_get", "starts_at_gte"),
        ("start_at_gte", "starts_at_gte"),
        ("end_at_lte", "ends_at_lte"),
        ("canceled", "cancelled"),
        ("availabilty", "availability"),
        ("futrue", "future"),
        ("psat", "past"),
    ],
)
def test_a_misspelled_name_is_rejected_with_a_suggestion(typo: str, meant: str) -> None:
    error = error_of(f"/sessions?{typo}=1")
    assert error.parameter == typo
    assert repr(typo) in str(error)
    assert str(error).endswith(f"; did you mean {meant}?")


@pytest.mark.parametrize("name", ["qqq", "12345", "venues[]", "__proto__", "\u2028", "x" * 41])
def test_an_unknown_name_is_rejected_with_all_accepted_names(name: str) -> None:
    with pytest.raises(ParameterError) as caught:
        feed_spec(Kind.SESSION, None, [(name, "1")], defaults())
    text = str(caught.value)
    assert text.isprintable()
    if "did you mean" not in text:
        assert all(accepted in text for accepted in ACCEPTED)


def test_every_accepted_parameter_is_known() -> None:
    for name in ACCEPTED:
        error = error_of(f"/sessions?{name}=%00nonsense")
        assert error.parameter == name
        assert "unknown parameter" not in str(error)


def test_other_parameters_of_upstream_are_rejected() -> None:
    for name in ("sort", "page", "page_size", "expand", "fields", "format"):
        assert repr(name) in str(error_of(f"/sessions?{name}=1"))


# Counts that the owner hides

OCCUPANCIES = {"full", "not_full", "has_registrations", "has_waitlist", "empty"}


@pytest.mark.parametrize(
    ("most", "options", "occupancies"),
    [
        (Availability.NONE, {"none"}, set()),
        (Availability.FULL, {"none", "full"}, {"full", "not_full"}),
        (Availability.SPOTS, {"none", "full", "spots"}, OCCUPANCIES),
    ],
)
def test_options_and_filters_reveal_no_more_than_the_owner_allows(
    most: Availability, options: set[str], occupancies: set[str]
) -> None:
    feed_defaults = defaults(most)
    for option in ("none", "full", "spots"):
        for path in ("/venues/1", "/sessions", "/sessions/1"):
            address = f"{path}?availability={option}"
            if option in options:
                assert spec_of(address, feed_defaults).availability.value == option
            else:
                error = error_of(address, feed_defaults)
                assert error.parameter == "availability"
                offered = str(error).partition("accepted: ")[2]
                assert set(offered.split(", ")) == options
    for occupancy in OCCUPANCIES:
        address = f"/venues/1?occupancy_status={occupancy}"
        if occupancy in occupancies:
            assert spec_of(address, feed_defaults).filter_set.occupancy_status
        else:
            error = error_of(address, feed_defaults)
            assert error.parameter == "occupancy_status"
            assert all(name in str(error).partition("; ")[2] for name in occupancies)


def test_a_list_with_one_hidden_occupancy_is_rejected() -> None:
    feed_defaults = defaults(Availability.FULL)
    assert spec_of("/sessions?occupancy_status=full,not_full", feed_defaults)
    assert "empty" in str(error_of("/sessions?occupancy_status=full,empty", feed_defaults))
    assert "empty" in str(
        error_of("/sessions?occupancy_status=full&occupancy_status=empty", feed_defaults)
    )


# Hostile input

LONG = 100_000
SHAPES = {
    "letters": "x" * LONG,
    "nines": "9" * LONG,
    "noughts": "0" * LONG,
    "commas": "," * LONG,
    "numbers": "1," * (LONG // 2),
    "blanks": " " * LONG,
    "a name again and again": "venues" * (LONG // 6),
    "a word again and again": "active," * (LONG // 7),
    "dates": "2026-10-20" * (LONG // 10),
    "dates in a list": "2026-10-20," * (LONG // 11),
    "a fraction": "2026-10-20T17:30:00." + "1" * LONG,
    "letters of other scripts": "é" * LONG,
    "digits of other scripts": "٣" * LONG,
    "surrogates": "\ud800" * LONG,
    "nothing": "\x00" * LONG,
    "line breaks": "\r\n" * (LONG // 2),
}
shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def rejected_at_once(kind: Kind, pairs: Iterable[tuple[str, str]]) -> str:
    """The text of the error, which is raised without delay."""
    pairs = list(pairs)

    def parse() -> str:
        with pytest.raises(ParameterError) as caught:
            feed_spec(kind, None if kind is Kind.SESSION else 1, pairs, defaults())
        return str(caught.value)

    text = at_once(parse)
    assert text.isprintable()
    assert len(text) < 1000
    return text


@shapes
@pytest.mark.parametrize("name", ACCEPTED)
def test_100_kb_in_a_value_are_rejected_at_once(name: str, shape: str) -> None:
    assert name in rejected_at_once(Kind.SESSION, [(name, shape)])


@shapes
def test_100_kb_in_a_name_are_rejected_at_once(shape: str) -> None:
    for kind in Kind:
        assert "unknown parameter" in rejected_at_once(kind, [(shape, "1")])


def test_a_flood_of_parameters_is_rejected_at_once() -> None:
    for pairs in (
        [("venues", "1")] * 50_000,
        [("_", "")] * 50_000,
        [(f"utm_{number}", "x") for number in range(50_000)],
        [("past", "7")] * 50_000,
    ):
        assert "parameters" in rejected_at_once(Kind.SESSION, pairs)


def test_ignored_parameters_may_have_any_length() -> None:
    for shape in SHAPES.values():
        pairs = [("utm_source", shape), (f"utm_{shape}", "x"), ("_", shape), ("fbclid", shape)]
        spec = at_once(partial(feed_spec, Kind.VENUE, 1, pairs, defaults()))
        assert spec == spec_of("/venues/1")


def test_the_feed_of_id_0_differs_from_the_feed_of_all_sessions() -> None:
    assert spec_of("/sessions/0").name != spec_of("/sessions").name
