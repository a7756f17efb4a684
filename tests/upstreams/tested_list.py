"""Which of TeamUp's lists the rows of most tests stand in, and how to put them there.

The environment variable ``TESTED_LIST`` selects it: ``course_sessions`` unless ``make faults`` runs
the tests once more with ``events``.
"""

import os
from collections.abc import Iterable
from typing import Any

from bridge.filters import FilterSet
from bridge.model import SourceName
from bridge.sandbox.studio import Studio
from bridge.snapshots.snapshot_key import SnapshotKey
from upstreams.rows import as_class

TESTED_LIST = SourceName(os.environ.get("TESTED_LIST", SourceName.COURSE_SESSIONS.value))

WIDE_KEY = SnapshotKey(TESTED_LIST, FilterSet(past=30)).text
"""The key of the snapshot that answers nearly all feeds."""

WALKS_UNTIL_CANCELLED = 1 if TESTED_LIST is SourceName.EVENTS else 2
"""Walks without a session until it is shown as cancelled. A class is also looked up by its id."""


def rows_of(studio: Studio) -> list[Any]:
    """Copies of the rows of the tested list."""
    return studio.events if TESTED_LIST is SourceName.EVENTS else studio.sessions


def replace_rows(studio: Studio, rows: Iterable[Any]) -> None:
    """Replace the rows of the tested list by *rows*, fully expanded course sessions or classes."""
    if TESTED_LIST is SourceName.EVENTS:
        studio.replace_sessions([as_class(row) for row in rows], kind="event")
    else:
        studio.replace_sessions(rows)
