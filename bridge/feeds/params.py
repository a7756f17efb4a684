"""From an address to a feed specification: every query parameter of every feed."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from bridge.config import Availability, Config
from bridge.errors import ParameterError
from bridge.feeds.spec import Audience, Cancelled, FeedSpec, Kind, TimeStyle
from bridge.filters import PARAMETERS, FilterSet, Occupancy, choice, shown, single

IGNORED = ("_", "fbclid", "gclid")
_OPTIONS = {"cancelled": Cancelled, "availability": Availability, "tz": TimeStyle}
_MAX_PARAMETERS = 200
_MOST_TOLD = {
    Availability.NONE: frozenset[Occupancy](),
    Availability.FULL: frozenset((Occupancy.FULL, Occupancy.NOT_FULL)),
    Availability.SPOTS: frozenset(Occupancy),
}


@dataclass(frozen=True, slots=True)
class Defaults:
    """What an address leaves unsaid, and the most that it may ask of what is public.

    Attributes:
        past, future: the default window in whole days.
    """

    past: int
    future: int
    audience: Audience

    @classmethod
    def of(cls, config: Config) -> "Defaults":
        """What the settings say."""
        audience = Audience(
            visibilities=config.public_visibility, availability=config.public_availability
        )
        return cls(config.window_past_days, config.window_future_days, audience)


def feed_spec(
    kind: Kind,
    identity: int | None,
    pairs: Iterable[tuple[str, str]],
    defaults: Defaults,
    *,
    besides: frozenset[str] = frozenset(),
) -> FeedSpec:
    """The feed that an address names.

    Args:
        identity: the id in its path.
        pairs: its query parameters in any order and spelling.
        besides: further parameters that the format takes; they change nothing here.

    Raises:
        ParameterError: a parameter or value that is not accepted.
    """
    values = _gathered(pairs, besides)
    options = {name: values.pop(name) for name in _OPTIONS if name in values}
    # A course is read as a whole: it has no default window. Nor has a single session.
    windowed = kind is Kind.VENUE or kind is Kind.INSTRUCTOR or identity is None
    past, future = (defaults.past, defaults.future) if windowed else (None, None)
    if kind is Kind.SESSION and identity is not None:
        if values:
            name = next(iter(values))
            raise ParameterError(name, f"{name}: a single session takes no filter; leave it out")
        filter_set = FilterSet(session=identity)
    else:
        fixed = {_FIXED[kind]: identity} if kind in _FIXED else {}
        filter_set = FilterSet.parse(values, past=past, future=future, **fixed)
    read = {
        name: choice(name, single(name, texts), _OPTIONS[name]) for name, texts in options.items()
    }
    availability = read.get("availability", Availability.NONE)
    _check_told(availability, filter_set, defaults.audience)
    return FeedSpec(
        kind=kind,
        identity=identity,
        filter_set=filter_set,
        audience=defaults.audience,
        cancelled=read.get("cancelled", Cancelled.STATUS),
        availability=availability,
        times=read.get("tz", TimeStyle.UTC),
        query=_canonical(kind, filter_set, past, future, read),
    )


_FIXED = {Kind.VENUE: "venue", Kind.INSTRUCTOR: "instructor", Kind.COURSE: "course"}
_NAMED = {"venue": "venues", "instructor": "instructors", "course": "course"}


def _gathered(pairs: Iterable[tuple[str, str]], besides: frozenset[str]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for number, (name, value) in enumerate(pairs):
        if number >= _MAX_PARAMETERS:
            raise ParameterError(name, f"more than {_MAX_PARAMETERS} parameters; give fewer")
        if name in IGNORED or name.startswith("utm_") or name in besides:
            continue
        if name not in PARAMETERS and name not in _OPTIONS:
            raise ParameterError(name, _unknown(name))
        values.setdefault(name, []).append(value)
    return values


def _unknown(name: str) -> str:
    accepted = [*PARAMETERS, *_OPTIONS]
    problem = f"{shown(name)} is no parameter of a feed"
    # Matching costs the square of the length, and a typo is short.
    near = difflib.get_close_matches(name.lower(), accepted, 1) if len(name) <= 40 else []
    if near:
        return f"{problem}; did you mean {near[0]}?"
    return f"{problem}; accepted: {', '.join(accepted)}"


def _check_told(availability: Availability, filter_set: FilterSet, audience: Audience) -> None:
    """Counts that an owner hides are told neither by an option nor through a filter."""
    most = audience.availability
    if availability.rank > most.rank:
        raise ParameterError(
            "availability",
            f"availability: {availability.value} is not offered by this studio; accepted: "
            + ", ".join(one.value for one in Availability if one.rank <= most.rank),
        )
    told = _MOST_TOLD[most]
    for occupancy in filter_set.occupancy_status:
        if occupancy not in told:
            names = ", ".join(one.value for one in Occupancy if one in told)
            raise ParameterError(
                "occupancy_status",
                f"occupancy_status: {occupancy.value} is not offered by this studio; "
                + (f"accepted: {names}" if names else "leave the parameter out"),
            )


def _canonical(
    kind: Kind,
    filter_set: FilterSet,
    past: int | None,
    future: int | None,
    options: dict[str, Cancelled | Availability | TimeStyle],
) -> str:
    """The query as every spelling of it comes out: defaults and what the path says left out."""
    bare = filter_set.widened(session=None)
    if kind in _FIXED:
        bare = bare.widened(**{_NAMED[_FIXED[kind]]: ()})
    said = [bare.query(without={"past": past, "future": future})]
    defaults = (Cancelled.STATUS, Availability.NONE, TimeStyle.UTC)
    chosen = [(name, one.value) for name, one in sorted(options.items()) if one not in defaults]
    return "&".join(filter(None, (*said, urlencode(chosen))))
