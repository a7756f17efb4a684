"""Ordinary classes in feeds: rooms, booking, waiting lists, who may see them, and UIDs."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from samples import HALL, SEEN, START, YOGA, content, published, session, snapshot, spec, views

from bridge.config import Availability
from bridge.feeds.catalogue import catalogue_of, visible_sessions
from bridge.feeds.event_text import description
from bridge.feeds.formats import FORMATS
from bridge.feeds.selection import LATER, select
from bridge.feeds.spec import Audience, Kind
from bridge.filters import FilterSet
from bridge.languages import english
from bridge.model import ClassSession, OfferingType, Room, Visibility

STUDIO_1 = Room(71, "Studio 1")


def event(number: int = 1, **fields: Any) -> ClassSession:
    defaults = {"source": "event", "course": None, "room": STUDIO_1, "waiting": 0}
    return session(number, **{**defaults, **fields})


def rendered(name: str, *sessions: Any, **fields: Any) -> str:
    body = FORMATS[name].render(content(snapshot(*sessions), spec(**fields)))
    return body.decode().replace("\r\n ", "")


def objects(*sessions: Any, **fields: Any) -> list[dict[str, Any]]:
    return json.loads(rendered("json", *sessions, **fields))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("venue", "room", "location"),
    [
        (HALL, STUDIO_1, "Kings Cross, Studio 1, 1 Example St, London"),
        (HALL, None, "Kings Cross, 1 Example St, London"),
        (HALL, Room(71), "Kings Cross, 1 Example St, London"),
        (
            replace(HALL, address="Kings Cross, 1 Example St"),
            STUDIO_1,
            "Kings Cross, Studio 1, 1 Example St",
        ),
        (replace(HALL, address="Kings Cross"), STUDIO_1, "Kings Cross, Studio 1"),
        (replace(HALL, address="Kings Cross"), None, "Kings Cross"),
        (replace(HALL, address="Kings Cross 9"), STUDIO_1, "Kings Cross, Studio 1, Kings Cross 9"),
        (replace(HALL, address="Kings Cross 9"), None, "Kings Cross 9"),
        (replace(HALL, name="10", address="100 High St"), STUDIO_1, "10, Studio 1, 100 High St"),
        (replace(HALL, name="10", address="100 High St"), None, "10, 100 High St"),
        (replace(HALL, address=""), STUDIO_1, "Kings Cross, Studio 1"),
        (None, STUDIO_1, "Studio 1"),
        (None, None, ""),
    ],
)
def test_the_room_follows_the_name_of_the_venue(venue: Any, room: Any, location: str) -> None:
    one = event(venue=venue, room=room)
    [shown] = objects(one)
    assert shown["location"] == location
    assert shown["room"] == (room and {"id": 71, "name": room.name})
    escaped = location.replace(",", "\\,")
    assert (f"LOCATION:{escaped}\r\n" in rendered("ics", one)) == bool(location)


def test_the_agenda_names_the_room() -> None:
    assert "@ Kings Cross, Studio 1\n" in rendered("txt", event())


def test_the_classs_own_description_replaces_that_of_its_type() -> None:
    [own], [usual] = objects(event(own_description="Outside today")), objects(event())
    assert (own["description"], usual["description"]) == ("Outside today", "Bring a mat")


def test_a_pasted_meeting_link_is_not_public() -> None:
    one = event(own_description="Join https://zoom.us/j/123456?pwd=canary from 18:00")
    for name in FORMATS:
        assert "zoom.us" not in rendered(name, one)


@pytest.mark.parametrize(
    ("zone", "opens", "text"),
    [
        ("Europe/London", datetime(2026, 12, 1, 9, tzinfo=UTC), "Tue 1 Dec, 09:00"),
        ("Europe/London", datetime(2026, 7, 1, 8, tzinfo=UTC), "Wed 1 Jul, 09:00"),
        ("Australia/Sydney", datetime(2026, 12, 1, 21, tzinfo=UTC), "Wed 2 Dec, 08:00"),
        (None, datetime(2026, 12, 1, 9, tzinfo=UTC), "Tue 1 Dec, 09:00 UTC"),
    ],
)
def test_when_booking_opens_is_told_in_the_venues_time(
    zone: str | None, opens: datetime, text: str
) -> None:
    one = event(booking_opens=opens, venue=replace(HALL, zone=zone))
    [view] = views(one)
    assert f"Booking opens {text}" in description(view, english()).splitlines()
    assert objects(one)[0]["booking_opens"] == opens.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize("availability", Availability)
def test_a_waiting_list_is_told_only_where_places_are(availability: Availability) -> None:
    one = event(attending=10, waiting=3)
    [view] = views(one, availability=availability)
    told = "There is a waiting list." in description(view, english())
    assert told == (availability is Availability.SPOTS)


def test_a_change_of_the_room_raises_sequence_and_a_new_description_does_not() -> None:
    before = published(event())
    later = SEEN + timedelta(hours=1)
    moved = published(event(room=Room(72, "Studio 2")), seen=later, before=before)
    assert moved.revision.sequence > before.revision.sequence
    renamed = published(event(room=Room(71, "Big studio")), seen=later, before=before)
    assert renamed.revision.sequence > before.revision.sequence
    for changed in (event(own_description="New"), event(booking_opens=START)):
        after = published(changed, seen=later, before=before)
        assert after.revision.sequence == before.revision.sequence
        assert after.revision.content > before.revision.content


def test_bookings_and_waiting_lists_change_only_feeds_that_show_them() -> None:
    before = published(event(attending=10, waiting=0))
    later = SEEN + timedelta(hours=1)
    after = published(event(attending=10, waiting=2), seen=later, before=before)
    assert after.revision.content == before.revision.content
    assert after.revision.full == before.revision.full
    assert after.revision.places > before.revision.places


@pytest.mark.parametrize(
    ("registration", "visibilities", "hidden"),
    [
        (None, {Visibility.PUBLIC}, None),
        (Visibility.PUBLIC, {Visibility.PUBLIC}, None),
        (Visibility.MEMBERSHIP_HOLDERS, {Visibility.PUBLIC}, "membership_holders"),
        (Visibility.PRIVATE, {Visibility.PUBLIC}, "private"),
        (Visibility.MEMBERSHIP_HOLDERS, {Visibility.PUBLIC, Visibility.MEMBERSHIP_HOLDERS}, None),
        (Visibility.PRIVATE, {Visibility.PUBLIC, Visibility.MEMBERSHIP_HOLDERS}, "private"),
    ],
)
def test_registration_timelines_hide_a_public_type(
    registration: Visibility | None, visibilities: set[Visibility], hidden: str | None
) -> None:
    audience = Audience(visibilities=frozenset(visibilities), availability=Availability.FULL)
    selection = select(snapshot(event(registration=registration)), spec(audience=audience))
    assert dict(selection.hidden) == ({hidden: 1} if hidden else {})
    assert len(selection.shown) == (0 if hidden else 1)


def horizon(days: int | None) -> Audience:
    return Audience(
        visibilities=frozenset({Visibility.PUBLIC}),
        availability=Availability.FULL,
        horizon=None if days is None else timedelta(days=days),
    )


def test_nothing_public_starts_later_than_the_horizon() -> None:
    edge = SEEN + timedelta(days=7)
    sessions = [event(n, start=edge + timedelta(minutes=n - 2)) for n in (1, 2, 3)]
    current = snapshot(*sessions)
    selection = select(current, spec(audience=horizon(7)))
    assert [view.session.id for view in selection.shown] == [1, 2]
    assert dict(selection.hidden) == {LATER: 1}
    assert len(select(current, spec(audience=horizon(None))).shown) == 3
    only_later = snapshot(sessions[2])
    assert visible_sessions(only_later, FilterSet(), horizon(7)) == []
    assert visible_sessions(only_later, FilterSet(), horizon(None)) == [sessions[2]]


def test_the_catalogue_lists_rooms_and_categories() -> None:
    kind = replace(YOGA, category_id=9)
    catalogue = catalogue_of([event(offering_type=kind), session(2)], english())
    assert [(item.name, item.identity) for item in catalogue["rooms"]] == [("Studio 1", 71)]
    assert [(item.name, item.identity) for item in catalogue["category"]] == [("Yoga", 9)]


def test_the_catalogue_counts_the_visible_sessions_of_each_item() -> None:
    sessions = [event(n, start=SEEN + timedelta(days=n)) for n in (1, 2, 8)]
    visible = visible_sessions(snapshot(*sessions), FilterSet(), horizon(7))
    catalogue = catalogue_of(visible, english())
    assert [(item.identity, item.sessions) for item in catalogue["rooms"]] == [(71, 2)]


@pytest.mark.parametrize(
    ("kind", "identity", "name"),
    [
        (Kind.ROOM, 71, "Kings Cross\\, Studio 1"),
        (Kind.TYPE, 301, "Vinyasa"),
        (Kind.ROOM, 5, "Room 5"),
        (Kind.TYPE, 5, "Class type 5"),
        (Kind.CLASS, 5, "Class 5"),
    ],
)
def test_feeds_of_rooms_types_and_classes_are_named_after_them(
    kind: Kind, identity: int, name: str
) -> None:
    assert f"X-WR-CALNAME:{name}\r\n" in rendered("ics", event(), kind=kind, identity=identity)


def test_filters_by_room_category_and_source_select_locally() -> None:
    kind = OfferingType(id=302, name="Spin", visibility=Visibility.PUBLIC, category_id=9)
    current = snapshot(event(1), event(2, room=Room(72), offering_type=kind), session(3))

    def ids(**filters: Any) -> list[int]:
        return [view.session.id for view in select(current, spec(filters=filters)).shown]

    assert ids(rooms={71}) == [1]
    assert ids(rooms={71, 72}) == [1, 2]
    assert ids(category={9}) == [2]
    assert sorted(ids()) == [1, 2, 3]
