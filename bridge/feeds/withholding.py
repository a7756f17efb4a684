"""Withholding: what the readers of a feed may not see, and why; for its owner."""

from collections import Counter
from collections.abc import Iterable

from bridge.feeds.selection import visible
from bridge.feeds.spec import Audience
from bridge.model import ClassSession, Visibility

DRAFT, UNKNOWN = "draft", "unknown"
REASONS = (DRAFT, UNKNOWN, *(one.value for one in Visibility))
"""A draft; no known visibility; or the visibility that it has."""


def reason(session: ClassSession, audience: Audience) -> str | None:
    """Why *audience* may not see *session*: one of :data:`REASONS`; None: it may."""
    if visible(session, audience):
        return None
    kind = session.offering_type
    if kind is not None and kind.draft:
        return DRAFT
    return UNKNOWN if kind is None or kind.visibility is None else kind.visibility.value


def withheld(sessions: Iterable[ClassSession], audience: Audience) -> Counter[str]:
    """How many of *sessions* the *audience* may not see, by reason."""
    return Counter(filter(None, (reason(one, audience) for one in sessions)))
