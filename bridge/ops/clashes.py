"""Clashes in the timetable to come: where two classes need the same person or place at once.

Only classes that will take place as they are known count: no cancelled, deleted or missing ones,
and no drafts.
"""

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import NamedTuple

from bridge.model import ClassSession, Identity, Published, Status, Visibility
from bridge.snapshots.router import SnapshotRouter
from bridge.snapshots.snapshot import Snapshot

_HABIT_COUNT, _HABIT_SHARE = 10, 0.25
"""A pattern in more than this many and this share of the classes is intended: the venue has rooms
that TeamUp does not know, or the class type has no instructor."""

_REFRESH_SECONDS = 3600.0


class ClashKind(Enum):
    """What a clash is about."""

    INSTRUCTOR = "instructor"
    """An instructor teaches in two places at once."""
    ROOM = "room"
    """Two classes are in one room at once."""
    VENUE = "venue"
    """Two classes are at once in one venue, of which TeamUp lists no rooms."""
    NO_INSTRUCTOR = "no_instructor"
    """A class has no instructor."""


_TEXTS = {
    ClashKind.INSTRUCTOR: "{} teaches {} and {} in two places at once",
    ClashKind.ROOM: "{} has {} and {} at once",
    ClashKind.VENUE: "{}, which has no rooms in TeamUp, has {} and {} at once",
}
_HIDDEN_SUBJECTS = {
    ClashKind.INSTRUCTOR: "an instructor",
    ClashKind.ROOM: "a room",
    ClashKind.VENUE: "a venue",
}


@dataclass(frozen=True, slots=True)
class ClashingClass:
    """What operators are told of a class that clashes.

    Attributes:
        title, location: empty for a class that is not public.
        start: in the time of its venue.
    """

    source: str
    id: int
    title: str
    location: str
    start: datetime

    @classmethod
    def of(cls, session: ClassSession) -> "ClashingClass":
        """What is told of *session*."""
        public = _is_public(session)
        return cls(
            source=session.source,
            id=session.id,
            title=session.title if public else "",
            location=session.location if public else "",
            start=session.local_start,
        )

    @property
    def text(self) -> str:
        """Title and start in English."""
        start = self.start
        return f"{self.title or 'a hidden class'} ({start:%a} {start.day} {start:%b, %H:%M})"


@dataclass(frozen=True, slots=True)
class Clash:
    """A clash, with its repetitions at the same weekday and time.

    Attributes:
        subject: the name of the instructor, room or venue; empty for a missing instructor, and if
            none of the classes is public.
        first: the class that begins first, of the next time.
        second: the other class; None for a missing instructor.
        times: how often it happens.
        until: when the last of these times is over, UTC.
        key: equal for all of its times.
    """

    kind: ClashKind
    subject: str
    first: ClashingClass
    second: ClashingClass | None
    times: int
    until: datetime
    key: tuple[object, ...]

    @property
    def fingerprint(self) -> str:
        """A hash that stays the same as times pass."""
        return hashlib.sha256(repr(self.key).encode()).hexdigest()[:16]

    @property
    def text(self) -> str:
        """One line in English."""
        if self.second is None:
            text = f"{self.first.text} has no instructor"
        else:
            subject = self.subject or _HIDDEN_SUBJECTS[self.kind]
            text = _TEXTS[self.kind].format(subject, self.first.text, self.second.text)
        return f"{text}, {self.times} times" if self.times > 1 else text


@dataclass(frozen=True, slots=True)
class Clashes:
    """All clashes to come.

    Attributes:
        all: the next comes first.
    """

    all: tuple[Clash, ...] = ()

    def count(self, kind: ClashKind) -> int:
        """How many clashes of *kind* there are, each of their times counted."""
        return sum(clash.times for clash in self.all if clash.kind is kind)


class ClashReport:
    """Finds the clashes in the widest snapshot: once for each version, and once an hour."""

    def __init__(self, router: SnapshotRouter) -> None:
        self._router = router
        self._cached: tuple[Snapshot, float, Clashes] | None = None

    def current(self, now: float) -> Clashes:
        """The clashes after *now*, in seconds since 1970; none without a snapshot."""
        snapshot = self._router.peek_widest()
        if snapshot is None:
            return Clashes()
        cached, hour = self._cached, now // _REFRESH_SECONDS
        if cached is None or cached[0] is not snapshot or cached[1] != hour:
            found = find_clashes(snapshot.published, datetime.fromtimestamp(now, UTC))
            cached = self._cached = (snapshot, hour, found)
        return cached[2]


def find_clashes(published: Sequence[Published], now: datetime) -> Clashes:
    """The clashes of sessions that end after *now*, in one pass over them.

    Classes that follow each other do not clash, and no class clashes with itself. Of several
    classes at once each is reported together with one other.

    Args:
        published: ordered by start.
    """
    sessions = [entry.session for entry in published if _takes_place(entry, now)]
    found = [
        *_instructor_clashes(sessions),
        *_room_clashes(sessions),
        *_venue_clashes(sessions, published),
        *_without_instructor(sessions, published),
    ]
    series: dict[tuple[object, ...], list[_Occurrence]] = {}
    week_times: dict[Identity, tuple[int, int, int]] = {}
    for occurrence in sorted(found, key=lambda occurrence: occurrence.start):
        key: tuple[object, ...] = (occurrence.kind.value, occurrence.subject_id)
        for session in occurrence.sessions:
            week_time = week_times.get(session.identity)
            if week_time is None:
                week_time = week_times[session.identity] = _week_time(session)
            key = (*key, week_time, session.title)
        series.setdefault(key, []).append(occurrence)
    return Clashes(tuple(_clash(key, each) for key, each in series.items()))


class _Occurrence(NamedTuple):
    """A clash at one time."""

    kind: ClashKind
    subject_id: int | None
    subject: str
    first: ClassSession
    second: ClassSession | None = None

    @property
    def sessions(self) -> tuple[ClassSession, ...]:
        return (self.first, self.second) if self.second else (self.first,)

    @property
    def start(self) -> datetime:
        return self.sessions[-1].start

    @property
    def until(self) -> datetime:
        return min(session.ends for session in self.sessions)


def _clash(key: tuple[object, ...], occurrences: Sequence[_Occurrence]) -> Clash:
    following = occurrences[0]
    return Clash(
        kind=following.kind,
        # The subject of a public class is public.
        subject=following.subject if any(map(_is_public, following.sessions)) else "",
        first=ClashingClass.of(following.first),
        second=ClashingClass.of(following.second) if following.second else None,
        times=len(occurrences),
        until=max(occurrence.until for occurrence in occurrences),
        key=key,
    )


def _takes_place(entry: Published, now: datetime) -> bool:
    session, offering_type = entry.session, entry.session.offering_type
    return (
        session.status is Status.ACTIVE
        and not entry.is_tombstone
        and entry.missing_since is None
        and session.complete
        and not (offering_type is not None and offering_type.draft)
        and session.ends > max(now, session.start)
    )


def _instructor_clashes(sessions: Iterable[ClassSession]) -> Iterator[_Occurrence]:
    # by instructor and location: the session that ends last
    running: dict[int, dict[Hashable, ClassSession]] = {}
    for session in sessions:
        if session.venue is None:
            continue
        location = (session.venue.id, session.room and session.room.id)
        for person in session.instructors:
            by_location = running.setdefault(person.id, {})
            over = [key for key, other in by_location.items() if other.ends <= session.start]
            for key in over:
                del by_location[key]
            for other in by_location.values():
                if _elsewhere(other, session):
                    name = person.name or f"instructor {person.id}"
                    yield _Occurrence(ClashKind.INSTRUCTOR, person.id, name, other, session)
                    break
            by_location[location] = _later(by_location.get(location), session)


def _elsewhere(session: ClassSession, other: ClassSession) -> bool:
    """Whether nobody can teach both at once: they are in different venues, or rooms of one."""
    here, there = session.venue, other.venue
    if here is None or there is None:
        return False
    if here.id == there.id:
        return bool(session.room and other.room and session.room.id != other.room.id)
    # A class in a room that is also streamed is listed twice.
    streamed = here.online != there.online and session.start == other.start
    return not streamed


def _room_clashes(sessions: Iterable[ClassSession]) -> Iterator[_Occurrence]:
    running: dict[int, ClassSession] = {}
    for session in sessions:
        room = session.room
        if room is None:
            continue
        other = running.get(room.id)
        if other is not None and other.ends > session.start:
            names = [session.venue.name if session.venue else "", room.name or f"room {room.id}"]
            yield _Occurrence(
                ClashKind.ROOM, room.id, ", ".join(filter(None, names)), other, session
            )
        running[room.id] = _later(other, session)


def _venue_clashes(
    sessions: Sequence[ClassSession], published: Iterable[Published]
) -> Iterator[_Occurrence]:
    with_rooms = {
        entry.session.venue.id
        for entry in published
        if entry.session.venue is not None and entry.session.room is not None
    }
    totals: Counter[int] = Counter()
    found: dict[int, list[_Occurrence]] = {}
    running: dict[int, ClassSession] = {}
    for session in sessions:
        venue = session.venue
        if venue is None or venue.online or venue.id in with_rooms:
            continue
        totals[venue.id] += 1
        other = running.get(venue.id)
        if other is not None and other.ends > session.start:
            name = venue.name or f"venue {venue.id}"
            occurrence = _Occurrence(ClashKind.VENUE, venue.id, name, other, session)
            found.setdefault(venue.id, []).append(occurrence)
        running[venue.id] = _later(other, session)
    for venue_id, occurrences in found.items():
        if len(occurrences) <= max(_HABIT_COUNT, _HABIT_SHARE * totals[venue_id]):
            yield from occurrences


def _without_instructor(
    sessions: Iterable[ClassSession], published: Iterable[Published]
) -> Iterator[_Occurrence]:
    totals: Counter[int | None] = Counter()
    taught: set[int | None] = set()
    for entry in published:
        totals[_type_of(entry.session)] += 1
        if entry.session.instructors:
            taught.add(_type_of(entry.session))
    for session in sessions:
        kind = _type_of(session)
        if not session.instructors and (kind in taught or totals[kind] <= _HABIT_COUNT):
            yield _Occurrence(ClashKind.NO_INSTRUCTOR, kind, "", session)


def _type_of(session: ClassSession) -> int | None:
    return session.offering_type.id if session.offering_type else None


def _later(session: ClassSession | None, other: ClassSession) -> ClassSession:
    return session if session is not None and session.ends > other.ends else other


def _week_time(session: ClassSession) -> tuple[int, int, int]:
    start = session.local_start
    return (start.weekday(), start.hour, start.minute)


def _is_public(session: ClassSession) -> bool:
    return session.visibility is Visibility.PUBLIC
