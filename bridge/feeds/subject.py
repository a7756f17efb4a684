"""The subject of a feed: its name and zone, from the sessions that its audience may see."""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.feeds.session_view import SessionView
from bridge.feeds.spec import PATH_FIELDS, FeedSpec, Kind
from bridge.filters import ID_FIELDS, FilterSet, parts
from bridge.languages import Language
from bridge.model import ClassSession, venue_zones
from bridge.text_cleanup import folded

_MAX_NAMES = 3
KIND_WORDS = {
    Kind.VENUE: "venue",
    Kind.ROOM: "room",
    Kind.INSTRUCTOR: "instructor",
    Kind.COURSE: "course",
    Kind.TYPE: "type",
    Kind.CLASS: "class",
    Kind.SESSION: "class",
}
"""The keys of the words for what a feed is about."""
FIELD_WORDS = {
    **{field: KIND_WORDS[kind] for kind, field in PATH_FIELDS.items()},
    "category": "category",
}
"""The keys of the words for the objects in a filter set, by its fields."""


def unknown_name(word: str, identity: int, language: Language) -> str:
    """What an object is called whose name is not known.

    Args:
        word: one of :data:`KIND_WORDS` or :data:`FIELD_WORDS`.
    """
    return f"{language.plain(word)} {identity}"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a feed is about, as far as its audience may see it.

    Attributes:
        name: the last known name, or a generic word where none is known.
        zone: the IANA zone of the feed's venue, or the one that all its sessions share.
        latest: the last session of the object in the address, inside the feed's window or not.
        chosen: the names of the objects in the filter set, if they are few; otherwise empty.
        unmatched_ids: the field and id of each object in the filters that no session is known of.
    """

    name: str
    zone: str | None
    latest: ClassSession | None = None
    chosen: str = ""
    unmatched_ids: tuple[tuple[str, int], ...] = ()


class SubjectCollector:
    """Collects the names of the objects that a feed is about, from the visible sessions.

    Attributes:
        scope: the sessions that contain such names, including all sessions of the feed.
    """

    def __init__(self, spec: FeedSpec) -> None:
        self._spec = spec
        self._wanted: dict[str, tuple[int, ...]] = {}
        self._names: dict[str, dict[int, str]] = {field: {} for field in ID_FIELDS}
        self._latest: ClassSession | None = None
        self._name = ""
        self._zone: str | None = None
        if spec.identity is None:
            chosen = {field: getattr(spec.filter_set, field) for field in ID_FIELDS}
            self._wanted = {field: ids for field, ids in chosen.items() if ids}
            # Without ids there is no name to find, so only the feed's own sessions are visited.
            self.scope = FilterSet(**chosen) if self._wanted else spec.filter_set
        elif spec.session is not None:
            self.scope = FilterSet(session=spec.session)
        else:
            self.scope = FilterSet.of(**{PATH_FIELDS[spec.kind]: (spec.identity,)})

    def add(self, session: ClassSession) -> None:
        """Record the names in *session*; sessions are added in order of time."""
        if self._spec.identity is not None:
            self._latest = session
            name, zone = _named(session, self._spec)
            if name:
                self._name = name
                self._zone = zone or self._zone
        elif self._wanted:
            for field, identity, name in parts(session):
                if name and identity in self._wanted.get(field, ()):
                    self._names[field][identity] = name

    def subject(self, shown: Sequence[SessionView]) -> Subject:
        """What the feed is about, also where it shows nothing at present."""
        zones = {*venue_zones(view.session for view in shown).values()}
        zone = zones.pop() if len(zones) == 1 else None
        chosen = self._chosen()
        label, language = self._spec.audience.label, self._spec.language
        if label or self._spec.identity is None:
            name = label or chosen or language.plain("classes")
            return Subject(name, zone, self._latest, chosen)
        name = self._name or unknown_name(
            KIND_WORDS[self._spec.kind], self._spec.identity, language
        )
        return Subject(name, zone or self._zone, self._latest)

    def _chosen(self) -> str:
        # Kinds of objects are separated by a dot, since a name may contain a comma.
        groups = [sorted(names.values(), key=folded) for names in self._names.values() if names]
        if sum(map(len, groups)) > _MAX_NAMES:
            return ""
        return " · ".join(", ".join(group) for group in groups)


def _named(session: ClassSession, spec: FeedSpec) -> tuple[str, str | None]:
    """The name and zone of the feed's object, as *session* has them."""
    venue = session.venue
    zone = venue.zone if venue else None
    if spec.session is not None:
        return (session.title if session.identity == spec.session else "", zone)
    wanted = (PATH_FIELDS[spec.kind], spec.identity)
    names = [name for field, id, name in parts(session) if (field, id) == wanted]
    name = names[0] if names else ""
    if spec.kind is Kind.ROOM and name and venue and venue.name:
        # Rooms of two venues may have equal names.
        name = f"{venue.name}, {name}"
    return name, zone if spec.kind in (Kind.VENUE, Kind.ROOM) and names else None
