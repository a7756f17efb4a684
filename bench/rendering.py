"""Rendering: from a new snapshot to the bytes of a calendar, in one thread."""

import gc
import statistics
import time
from collections.abc import Callable
from typing import Any

from bench import plain
from bench.studio import studio
from bench.table import Row
from bridge.config import Availability
from bridge.feeds import selection, session_view
from bridge.feeds.formats import ICS
from bridge.feeds.formats.base import Content
from bridge.feeds.formats.ics import events, lines
from bridge.feeds.spec import Audience, FeedSpec, Kind
from bridge.filters import FilterSet
from bridge.model import Published, Visibility
from bridge.sandbox.serializer import Serializer, expansion_tree, field_tree
from bridge.snapshots import revisions
from bridge.snapshots.encoding import decode, encode
from bridge.snapshots.snapshot import Snapshot, ordered
from bridge.upstream.parser import parse
from bridge.upstream.sources import COURSE_SESSIONS

_EXPAND = [("venue",), ("instructors",), ("course", "offering_type", "category")]
_WALKED_AT = 1_764_547_200.0
_SPEC = FeedSpec(
    kind=Kind.SESSION,
    identity=None,
    filter_set=FilterSet(past=30),
    audience=Audience(visibilities=frozenset({Visibility.PUBLIC}), availability=Availability.FULL),
)


def rows(sessions: int = 10_000) -> list[Row]:
    """All of a provider's sessions: for the first time, unchanged, and 1 % changed."""
    upstream_rows = _upstream_rows(sessions)
    before = _snapshot(upstream_rows, None)
    reference, cold, unchanged, changed = [], [], [], []
    for number in range(3):
        reference.append(_seconds(plain.calendar, upstream_rows))
        _clear_memory()
        cold.append(_seconds(_render, before))
        unchanged.append(_seconds(_render_after, decode(encode(before)), before))
        changed_rows = [
            {**row, "name": f"Changed {number}"} if place % 100 == 0 else row
            for place, row in enumerate(upstream_rows)
        ]
        after = decode(encode(_snapshot(changed_rows, before)))
        changed.append(_seconds(_render_after, after, before))
    name = f"rendering {sessions:,} sessions, against plain icalendar"
    return [
        Row(
            name=f"{name}: {state}",
            value=statistics.median(taken) * 1000,
            unit=" ms",
            reference=statistics.median(reference) * 1000,
            speedup=True,
            at_least=at_least,
        )
        for state, taken, at_least in (
            ("for the first time", cold, None),
            ("after a walk that changed nothing", unchanged, None),
            ("after a walk that changed 1 %", changed, 50),
        )
    ]


def _render_after(snapshot: Snapshot, before: Snapshot) -> bytes:
    return _render(snapshot.sharing_with(before))


def _render(snapshot: Snapshot) -> bytes:
    selected = selection.select(snapshot, _SPEC)
    return ICS.render(Content(selected.shown, selected.subject, _SPEC))


def _upstream_rows(sessions: int) -> list[dict[str, Any]]:
    """Rows as upstream sends them."""
    tables = studio(sessions).tables()
    representation = Serializer(
        tables, "https://studio.example", expansion_tree(_EXPAND), field_tree([])
    )
    return [representation.session(row) for row in tables.sessions()]


def _snapshot(upstream_rows: list[dict[str, Any]], before: Snapshot | None) -> Snapshot:
    parsed = parse(upstream_rows, COURSE_SESSIONS, "https://goteamup.com")
    known = before.by_identity if before else {}
    published: dict[Any, Published] = {
        session.identity: revisions.with_revision(
            session, int(_WALKED_AT), known.get(session.identity)
        )
        for session in parsed.sessions
    }
    return Snapshot(_WALKED_AT, float("-inf"), ordered(published), {})


def _clear_memory() -> None:
    for function in (session_view.make_view, events.event, lines.line):
        function.cache_clear()


def _seconds(work: Callable[..., object], *arguments: object) -> float:
    # Collect the garbage of the preparation before, not within the measurement.
    gc.collect()
    began = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - began
