"""Rendering: from a new snapshot to a calendar's bytes, in one thread."""

import gc
import statistics
import time
from collections.abc import Callable
from typing import Any

from bench import plain
from bench.studio import studio
from bench.table import Row
from bridge.cache import revisions
from bridge.cache.snapshot import Snapshot, decode, encode, ordered
from bridge.config import Availability
from bridge.feeds import ics, selection
from bridge.feeds.ics import events, lines
from bridge.feeds.spec import Audience, FeedSpec, Kind
from bridge.filters import FilterSet
from bridge.model import Published, Visibility
from bridge.sandbox.representation import Representation, expansion_tree, field_tree
from bridge.upstream.parser import parse
from bridge.upstream.sources import COURSE_SESSIONS

_EXPAND = [("venue",), ("instructors",), ("course", "offering_type", "category")]
_AT = 1_764_547_200.0
_SPEC = FeedSpec(
    kind=Kind.SESSION,
    identity=None,
    filter_set=FilterSet(past=30),
    audience=Audience(visibilities=frozenset({Visibility.PUBLIC}), availability=Availability.FULL),
)


def rows(sessions: int = 10_000) -> list[Row]:
    """Cold, unchanged and one in a hundred changed, each against plain icalendar."""
    upstreams = _rows(sessions)
    before = _snapshot(upstreams, None)
    plainly = _median([_seconds(plain.calendar, upstreams) for _ in range(3)])
    cold, same, few = [], [], []
    for turn in range(3):
        _forget()
        cold.append(_seconds(_render, before))
        again = decode(encode(before))
        same.append(_seconds(_render_after, again, before))
        some = [
            {**row, "name": f"Changed {turn}"} if place % 100 == 0 else row
            for place, row in enumerate(upstreams)
        ]
        changed = decode(encode(_snapshot(some, before)))
        few.append(_seconds(_render_after, changed, before))
    there = f"{plainly:.2f} s"
    return [
        Row.at_least(what, f"{taken * 1000:,.0f} ms", there, plainly / taken, reach)
        if reach
        else Row(what, f"{taken * 1000:,.0f} ms", there, f"{plainly / taken:.1f} ×")
        for what, taken, reach in (
            (f"rendering {sessions:,} sessions, cold, against plain icalendar", _median(cold), 0),
            ("the same after a walk that changed nothing", _median(same), 0),
            ("the same after a walk that changed 1 %", _median(few), 50),
        )
    ]


def _render_after(snapshot: Snapshot, before: Snapshot) -> bytes:
    return _render(snapshot.sharing(before))


def _render(snapshot: Snapshot) -> bytes:
    shown = selection.select(snapshot, _SPEC)
    about = selection.subject(snapshot, _SPEC, shown)
    return ics.render(shown, _SPEC, about, base_url=None)


def _rows(sessions: int) -> list[dict[str, Any]]:
    """What upstream sends."""
    tables = studio(sessions).tables()
    representation = Representation(
        tables, "https://studio.example", expansion_tree(_EXPAND), field_tree([])
    )
    return [representation.session(row) for row in tables.sessions()]


def _snapshot(upstreams: list[dict[str, Any]], before: Snapshot | None) -> Snapshot:
    parsed = parse(upstreams, COURSE_SESSIONS, "https://goteamup.com")
    known = before.by_identity if before else {}
    made: dict[Any, Published] = {
        one.identity: revisions.published(one, int(_AT), known.get(one.identity))
        for one in parsed.sessions
    }
    return Snapshot(_AT, float("-inf"), ordered(made), {})


def _forget() -> None:
    for memory in (selection._viewed, events.event, lines.line):
        memory.cache_clear()


def _seconds(work: Callable[..., object], *given: object) -> float:
    # what was made for the measurement is not to be cleared away within it
    gc.collect()
    began = time.perf_counter()
    work(*given)
    return time.perf_counter() - began


def _median(taken: list[float]) -> float:
    return statistics.median(taken)
