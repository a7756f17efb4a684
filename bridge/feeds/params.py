"""The query parameters of feeds: parsing of a feed's address into a feed specification."""

import difflib
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import Any
from urllib.parse import urlencode

from bridge import languages
from bridge.config import Availability, Config
from bridge.errors import ParameterError, quoted
from bridge.feeds.spec import (
    PATH_FIELDS,
    SINGLE_SESSION_SOURCES,
    Audience,
    Cancelled,
    ChangeNotes,
    FeedSpec,
    Kind,
    TimeStyle,
)
from bridge.filter_params import PARAMETERS, parse_filters
from bridge.filters import FilterSet, Occupancy
from bridge.languages import Language
from bridge.model import SourceName
from bridge.param_values import Parameter, one_of, single, whole_number

IGNORED = frozenset(
    # click ids of advertisers and mailers, and what clients add to get past caches
    "_ fbclid gclid msclkid mc_cid mc_eid gad_source gbraid wbraid nocache v t ts cb rand".split()
)
MAX_ALARM = 10_080
"""The longest time before its start at which a feed may remind of an event: a week, in minutes."""


def _language(name: str, texts: Sequence[str]) -> Language:
    text = single(name, texts)
    found = languages.translated(text)
    # The dates are those of the language itself, so that a text has few forms to cache.
    found = found and languages.translated(found.tag)
    if found is None:
        accepted = ", ".join(languages.available())
        raise ParameterError(
            name, f"{name}: there is no translation for {quoted(text)}; accepted: {accepted}"
        )
    return found


OPTIONS: Mapping[str, Parameter] = {
    "cancelled": one_of(
        "Cancelled sessions are marked in title and status (`status`, the default), in the title"
        " only (`keep`), or left out (`hide`).",
        Cancelled,
    ),
    "availability": one_of(
        "Whether a session is full (`full`), or the rounded number of places left (`spots`), as of"
        " the last refresh; by default `none`. Only what the studio publishes is accepted.",
        Availability,
    ),
    "cover": one_of(
        "Events state who covers for whom, and what they were moved from, by default; `off`: they"
        " do not.",
        ChangeNotes,
    ),
    "tz": one_of(
        "Times in UTC (the default), or local with a VTIMEZONE. No effect on JSON.", TimeStyle
    ),
    "alarm": whole_number(
        "Minutes before the start at which calendars remind of each session; by default none.",
        most=MAX_ALARM,
    ),
    "lang": Parameter(
        "The language of the words that the bridge adds, such as `CANCELLED:`; by default the one"
        " that the studio has set.",
        _language,
        {
            "type": "string",
            "pattern": f"^(?:{'|'.join(languages.available())})(?:[-_][A-Za-z0-9]{{2,8}}){{0,3}}$",
            "examples": [*languages.available()],
        },
    ),
}
"""The parameters for presentation."""

_MAX_PARAMETERS = 200


@dataclass(frozen=True, slots=True)
class FeedDefaults:
    """The default window of feeds, and what their audience may see.

    Attributes:
        past, future: the default window in whole days.
        sources: the lists that make up the timetable.
        studio_zone: see :class:`~bridge.feeds.spec.FeedSpec`.
        language: of feeds whose address names none.
    """

    past: int
    future: int
    audience: Audience
    sources: frozenset[SourceName] = frozenset(SourceName)
    studio_zone: str | None = None
    language: Language = field(default_factory=languages.english)

    @classmethod
    def of(cls, config: Config) -> "FeedDefaults":
        """The defaults of public feeds, from the settings."""
        days = config.public_horizon_days
        audience = Audience(
            visibilities=config.public_visibility,
            availability=config.public_availability,
            horizon=None if days is None else timedelta(days=days),
        )
        return cls(
            past=config.window_past_days,
            future=config.window_future_days,
            audience=audience,
            sources=config.sources,
            studio_zone=config.studio_timezone,
            language=config.feed_language,
        )


def feed_spec(
    kind: Kind,
    identity: int | None,
    pairs: Iterable[tuple[str, str]],
    defaults: FeedDefaults,
    *,
    extra_params: Container[str] = (),
) -> FeedSpec:
    """The specification of the feed at an address.

    Args:
        identity: the id in the path.
        pairs: the query parameters, in any order and spelling.
        extra_params: names of parameters that belong to the format, and are ignored here.

    Raises:
        ParameterError: a parameter or value is not accepted.
    """
    values = _group_by_name(pairs, extra_params)
    options = {name: values.pop(name) for name in OPTIONS if name in values}
    # A course's feed contains all its sessions, so it has no default window. A single session's
    # feed has none either.
    is_session = identity is not None and kind in SINGLE_SESSION_SOURCES
    windowed = kind is not Kind.COURSE and not is_session
    past, future = (defaults.past, defaults.future) if windowed else (None, None)
    if identity is not None and is_session:
        if values:
            name = next(iter(values))
            raise ParameterError(name, f"{name}: a single session has no filters; leave it out")
        filter_set = FilterSet(session=(SINGLE_SESSION_SOURCES[kind].object, identity))
    else:
        fixed = (
            {PATH_FIELDS[kind]: identity} if identity is not None and kind in PATH_FIELDS else {}
        )
        filter_set = parse_filters(values, past=past, future=future, fixed=fixed)
    chosen = {name: OPTIONS[name].parse(name, texts) for name, texts in options.items()}
    if "lang" in chosen and chosen["lang"].tag == defaults.language.tag:
        del chosen["lang"]
    availability = chosen.get("availability", Availability.NONE)
    _check_offered("sources", filter_set.sources, defaults)
    _check_offered("availability", [availability], defaults)
    _check_offered("occupancy_status", filter_set.occupancy_status, defaults)
    return FeedSpec(
        kind=kind,
        identity=identity,
        filter_set=filter_set,
        audience=defaults.audience,
        cancelled=chosen.get("cancelled", Cancelled.STATUS),
        availability=availability,
        cover=chosen.get("cover", ChangeNotes.ON),
        times=chosen.get("tz", TimeStyle.UTC),
        alarm=chosen.get("alarm"),
        language=chosen.get("lang", defaults.language),
        query=_canonical_query(kind, filter_set, past, future, chosen),
        studio_zone=defaults.studio_zone,
    )


def own_values(
    pairs: Iterable[tuple[str, str]], names: Container[str]
) -> Mapping[str, Sequence[str]]:
    """The values of those parameters in *pairs* that belong to the format.

    Args:
        names: of these parameters.
    """
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        if name in names:
            values.setdefault(name, []).append(value)
    return values


def reject_parameters(pairs: Iterable[tuple[str, str]]) -> None:
    """Check that an address without parameters has none but those that are ignored everywhere.

    Raises:
        ParameterError: it has another.
    """
    for name, _ in pairs:
        if not _is_ignored(name):
            raise ParameterError(
                name, f"{quoted(name)}: this address takes no parameters; leave it out"
            )


def _group_by_name(
    pairs: Iterable[tuple[str, str]], extra_params: Container[str]
) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for position, (name, value) in enumerate(pairs):
        if position >= _MAX_PARAMETERS:
            raise ParameterError(name, f"more than {_MAX_PARAMETERS} parameters; use fewer")
        if _is_ignored(name) or name in extra_params:
            continue
        if name not in PARAMETERS and name not in OPTIONS:
            raise ParameterError(name, _unknown_parameter(name))
        values.setdefault(name, []).append(value)
    return values


def _is_ignored(name: str) -> bool:
    return name in IGNORED or name.startswith("utm_")


def _unknown_parameter(name: str) -> str:
    accepted = [*PARAMETERS, *OPTIONS]
    problem = f"unknown parameter {quoted(name)}"
    # The time for matching grows with the square of the length, and misspelled names are short.
    if len(name) <= 40:
        # Paths have names of their own for some of the parameters: /types/31.
        fields = {kind.value: field for kind, field in PATH_FIELDS.items()}
        for near in difflib.get_close_matches(name.lower(), {*accepted, *fields}, 1):
            return f"{problem}; did you mean {fields.get(near, near)}?"
    return f"{problem}; accepted: {', '.join(accepted)}"


def offered_values(defaults: FeedDefaults) -> Mapping[str, Sequence[Enum]]:
    """The values that the studio offers of parameters of which it may not offer all."""
    most = defaults.audience.availability
    return {
        "sources": [name for name in SourceName if name in defaults.sources],
        "availability": [level for level in Availability if level.rank <= most.rank],
        # A filter by occupancy must not reveal more than the titles of the feed may show.
        "occupancy_status": _OCCUPANCY_BY_AVAILABILITY[most],
    }


_OCCUPANCY_BY_AVAILABILITY: Mapping[Availability, Sequence[Occupancy]] = {
    Availability.NONE: (),
    Availability.FULL: (Occupancy.FULL, Occupancy.NOT_FULL),
    Availability.SPOTS: tuple(Occupancy),
}


def _check_offered(name: str, values: Iterable[Enum], defaults: FeedDefaults) -> None:
    offered = offered_values(defaults)[name]
    for value in values:
        if value not in offered:
            accepted = ", ".join(other.value for other in offered)
            raise ParameterError(
                name,
                f"{name}: {value.value} is not offered by this studio; "
                + (f"accepted: {accepted}" if accepted else "leave the parameter out"),
            )


def _canonical_query(
    kind: Kind,
    filter_set: FilterSet,
    past: int | None,
    future: int | None,
    options: dict[str, Any],
) -> str:
    """The canonical query string, without default values and without what the path states."""
    filters = filter_set.with_changes(session=None)
    if kind in PATH_FIELDS:
        filters = filters.with_changes(**{PATH_FIELDS[kind]: ()})
    query = filters.query(without={"past": past, "future": future})
    defaults = (Cancelled.STATUS, Availability.NONE, ChangeNotes.ON, TimeStyle.UTC)
    pairs = [
        (name, _written(option))
        for name, option in sorted(options.items())
        if option not in defaults
    ]
    return "&".join(filter(None, (query, urlencode(pairs))))


def _written(option: Enum | Language | int) -> object:
    """The value of an option in an address."""
    if isinstance(option, Language):
        return option.tag
    return option.value if isinstance(option, Enum) else option
