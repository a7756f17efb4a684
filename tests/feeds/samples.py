"""Sessions, snapshots and specifications with believable defaults, and a strict reader of .ics."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bridge.cache import revisions
from bridge.cache.snapshot import Snapshot, ordered
from bridge.config import Availability
from bridge.feeds import ics
from bridge.feeds.selection import Shown, select, subject
from bridge.feeds.spec import Audience, FeedSpec, Kind
from bridge.filters import FilterSet
from bridge.model import (
    ClassSession,
    Course,
    Instructor,
    OfferingType,
    Published,
    Venue,
    Visibility,
)

#: When the sessions below were first seen: 153,750 minutes after 2026 began.
SEEN: Final = datetime(2026, 4, 17, 18, 30, tzinfo=UTC)
#: A Tuesday, half past six in London.
START: Final = datetime(2026, 10, 20, 17, 30, tzinfo=UTC)

YOGA: Final = OfferingType(
    id=301, name="Vinyasa", category="Yoga", visibility=Visibility.PUBLIC, description="Bring a mat"
)
HALL: Final = Venue(
    id=11,
    name="Kings Cross",
    address="1 Example St, London",
    zone="Europe/London",
    latitude=51.5308,
    longitude=-0.1238,
    join_url="https://video.example/j/canary-join-link",
)


def session(number: int = 1, **fields: Any) -> ClassSession:
    """A public session: an hour of Vinyasa Flow with Zoë, ten places, three people in."""
    start = fields.pop("start", START)
    given: dict[str, Any] = {
        "source": "course_session",
        "id": number,
        "title": "Vinyasa Flow",
        "start": start,
        "end": start + timedelta(hours=1),
        "attending": 3,
        "capacity": 10,
        "venue": HALL,
        "instructors": (Instructor(101, "Zoë"),),
        "course": Course(201, "Vinyasa Flow"),
        "offering_type": YOGA,
        "booking_url": f"https://studio.example/p/1/c/{number}",
        "staff_url": f"https://staff.example/c/{number}?canary-staff-link",
    }
    return ClassSession(**{**given, **fields})


def published(one: ClassSession, *, seen: datetime = SEEN, before: Any = None) -> Published:
    """*one* as the cache publishes it: for the first time, or after *before*."""
    return revisions.published(one, int(seen.timestamp()), before)


def snapshot(*sessions: ClassSession | Published, walked: datetime = SEEN) -> Snapshot:
    made = [one if isinstance(one, Published) else published(one) for one in sessions]
    return Snapshot(
        walked=walked.timestamp(),
        covers_from=float("-inf"),
        published=ordered({one.session.identity: one for one in made}),
        tally={},
    )


def spec(kind: Kind = Kind.SESSION, identity: int | None = None, **fields: Any) -> FeedSpec:
    """The specification of a feed that leaves out nothing public."""
    audience = fields.pop("audience", None) or Audience(
        visibilities=frozenset({Visibility.PUBLIC}), availability=Availability.SPOTS
    )
    filters = fields.pop("filters", {})
    named = {Kind.VENUE: "venues", Kind.INSTRUCTOR: "instructors", Kind.COURSE: "course"}
    if kind in named and identity is not None:
        filters = {named[kind]: (identity,), **filters}
    return FeedSpec(
        kind=kind,
        identity=identity,
        filter_set=FilterSet.of(**filters),
        audience=audience,
        **fields,
    )


def chosen(
    *sessions: ClassSession | Published, feed: FeedSpec | None = None, **fields: Any
) -> list[Shown]:
    """What a feed shows of *sessions*."""
    return select(snapshot(*sessions), feed or spec(**fields))


def calendar(
    *sessions: ClassSession | Published,
    feed: FeedSpec | None = None,
    base_url: str | None = None,
    **fields: Any,
) -> bytes:
    """The calendar of *sessions*, by the way that a request takes."""
    feed = feed or spec(**fields)
    held = snapshot(*sessions)
    shown = select(held, feed)
    return ics.render(shown, feed, subject(held, feed, shown), base_url=base_url)


@dataclass
class Line:
    """A content line, unfolded; its value as it stands."""

    name: str
    params: str
    value: str

    @property
    def text(self) -> str:
        """The value read as TEXT (RFC 5545, 3.3.11). ValueError for what TEXT cannot hold."""
        out, characters = [], iter(self.value)
        for character in characters:
            if character in ",;" or (character != "\t" and ord(character) < 32):
                raise ValueError(f"unescaped {character!r} in {self.name}: {self.value}")
            if character == "\\":
                escaped = next(characters, "")
                if escaped not in tuple("\\;,nN"):
                    raise ValueError(f"\\{escaped} in {self.name}: {self.value}")
                out.append("\n" if escaped in "nN" else escaped)
            else:
                out.append(character)
        return "".join(out)


@dataclass
class Component:
    kind: str
    lines: list[Line] = field(default_factory=list)
    parts: list["Component"] = field(default_factory=list)

    def names(self) -> list[str]:
        return [line.name for line in self.lines]

    def line(self, name: str) -> Line:
        """The one line of that name."""
        [line] = [line for line in self.lines if line.name == name]
        return line

    def value(self, name: str) -> str:
        return self.line(name).value

    def text(self, name: str) -> str:
        return self.line(name).text

    def all(self, kind: str) -> list["Component"]:
        return [part for part in self.parts if part.kind == kind]

    def walk(self) -> list["Component"]:
        return [self, *(below for part in self.parts for below in part.walk())]


def content_lines(body: bytes) -> list[str]:
    """Unfolded content lines. AssertionError unless every byte of their form is right."""
    assert body.endswith(b"\r\n")
    assert not body.startswith(b"\xef\xbb\xbf")
    physical = body[:-2].split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line for line in physical)
    assert all(0 < len(line) <= 75 for line in physical)
    lines: list[str] = []
    for line in physical:
        # Strictly: a fold inside a character would not decode.
        text = line.decode()
        if text[0] in " \t":
            lines[-1] += text[1:]
        else:
            lines.append(text)
    return lines


def read(body: bytes) -> Component:
    """The calendar in *body*, read without any leniency."""
    root = Component("")
    stack = [root]
    for text in content_lines(body):
        head, value = _split(text)
        name, _, params = head.partition(";")
        assert name.isascii()
        assert name == name.upper()
        if name == "BEGIN":
            stack.append(Component(value))
            stack[-2].parts.append(stack[-1])
        elif name == "END":
            assert stack.pop().kind == value
        else:
            stack[-1].lines.append(Line(name, params, value))
    assert stack == [root]
    [calendar] = root.parts
    assert calendar.kind == "VCALENDAR"
    return calendar


def _split(text: str) -> tuple[str, str]:
    """Name with parameters, and value: at the first colon outside of quotes."""
    quoted = False
    for at, character in enumerate(text):
        quoted ^= character == '"'
        if character == ":" and not quoted:
            return text[:at], text[at + 1 :]
    raise AssertionError(f"no content line: {text!r}")
