"""Look-ups: what upstream knows of classes that a walk lacks, asked for by their ids."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from upstream_client import TOKEN, UpstreamClient

from bridge.filters import FilterSet
from bridge.sandbox import records
from bridge.sandbox.api import create_api
from bridge.sandbox.faults import Faults
from bridge.sandbox.http_server import SandboxServer
from bridge.sandbox.list_params import Dialect
from bridge.sandbox.studio import Studio, event
from bridge.upstream.pagination import Walk
from bridge.upstream.sources import COURSE_SESSIONS, EVENTS

Connect = Callable[..., UpstreamClient]
START = datetime(2026, 12, 1, 18, tzinfo=UTC)
IN_VENUE = FilterSet(venues=(12,))


@pytest.fixture
def hall() -> Studio:
    return Studio(
        venues=[
            records.venue(12, "Hall", "Europe/London"),
            records.venue(13, "Annexe", "Europe/London"),
        ],
        offering_types=[records.offering_type(31, "Spin")],
        events=[
            event(id=n, starts_at=START + timedelta(hours=n), venue=12, offering_type=31)
            for n in range(1, 9)
        ],
    )


@contextmanager
def served(studio: Studio, faults: Faults | None = None, **dialect: Any) -> Iterator[str]:
    api = create_api(
        studio,
        token=TOKEN,
        dialect=Dialect(**dialect),
        faults=faults,
        requests_per_minute=100_000,
    )
    with SandboxServer(api) as server:
        yield server.url


def walk_without(client: UpstreamClient, *ids: int) -> Walk:
    """A walk that lacks some of the classes which upstream lists."""
    walk = client.walk(venues=[12])
    return replace(walk, sessions=tuple(one for one in walk.sessions if one.id not in ids))


def ids_of(walk: Walk) -> list[int]:
    return sorted(session.id for session in walk.sessions)


def fetch_by_ids(client: UpstreamClient, walk: Walk, *ids: int) -> Walk:
    return client.walker.fetch_by_ids(walk, IN_VENUE, frozenset(ids))


def test_classes_that_upstream_knows_are_added_and_unknown_ones_are_deleted(
    connect: Connect, hall: Studio
) -> None:
    with served(hall) as url:
        client = connect(url, source=EVENTS)
        walk = walk_without(client, 2, 3)
        hall.delete(3, kind="event")
        result = fetch_by_ids(client, walk, 2, 3)
        assert ids_of(result) == [1, 2, 4, 5, 6, 7, 8]
        assert result.deleted == {3}
        assert result.pages == walk.pages + 1


def test_a_class_that_moved_out_of_the_filter_set_is_elsewhere_and_not_deleted(
    connect: Connect, hall: Studio
) -> None:
    with served(hall) as url:
        client = connect(url, source=EVENTS)
        walk = walk_without(client, 2)
        hall.change(2, venue=13, kind="event")
        result = fetch_by_ids(client, walk, 2)
        assert result.excluded == {2}
        [session] = result.elsewhere
        assert session.venue is not None
        assert (session.id, session.venue.id) == (2, 13)
        assert not result.deleted
        assert 2 not in ids_of(result)


def test_a_class_that_became_an_appointment_is_excluded(connect: Connect, hall: Studio) -> None:
    with served(hall) as url:
        client = connect(url, source=EVENTS)
        walk = walk_without(client, 2)
        hall.change(2, kind="event", is_appointment="true")
        result = fetch_by_ids(client, walk, 2)
        assert (result.excluded, result.deleted) == ({2}, frozenset())


def test_a_class_whose_row_cannot_be_used_is_not_deleted(connect: Connect, hall: Studio) -> None:
    with served(hall) as url:
        client = connect(url, source=EVENTS)
        walk = walk_without(client, 2, 3)
        hall.change(2, kind="event", starts_at="soon")
        hall.change(3, kind="event", offering_type=99)
        result = fetch_by_ids(client, walk, 2, 3)
        assert not result.deleted
        assert {2, 3} <= result.unusable


def test_where_ids_are_ignored_the_walk_stays_as_it_was(connect: Connect, hall: Studio) -> None:
    with served(hall, ignored={"ids"}) as url:
        client = connect(url, source=EVENTS)
        walk = walk_without(client, 2)
        assert fetch_by_ids(client, walk, 2) == walk


def test_a_response_without_the_class_that_is_known_proves_nothing(
    connect: Connect, hall: Studio
) -> None:
    faults = Faults()
    with served(hall, faults) as url:
        client = connect(url, source=EVENTS)
        walk = walk_without(client, 2)
        faults.set("empty")
        assert fetch_by_ids(client, walk, 2) == walk


def test_without_any_class_that_is_known_nothing_is_asked(connect: Connect, hall: Studio) -> None:
    with served(hall) as url:
        client = connect(url, source=EVENTS)
        walk = walk_without(client, *range(1, 9))
        assert fetch_by_ids(client, walk, 2) == walk


def test_only_the_list_that_has_the_parameter_can_look_up(connect: Connect, hall: Studio) -> None:
    with served(hall) as url:
        assert connect(url, source=EVENTS).walker.can_fetch_by_ids
        assert not connect(url, source=COURSE_SESSIONS).walker.can_fetch_by_ids
