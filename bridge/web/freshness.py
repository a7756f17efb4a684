"""Freshness: which answers a shared cache may keep, and for how long (RFC 9111, 3 and 4.2)."""

import re
from collections.abc import Mapping

from werkzeug.http import parse_list_header

_NOT_SHARED = ("no-store", "private", "no-cache")
# With a credential an answer is one person's, unless it says otherwise (RFC 9111, 3.5).
_FOR_ALL = ("public", "s-maxage", "must-revalidate")
_AT_HAND = re.compile(r"[^;,]+;\s*hit;\s*ttl=([0-9]+)")


def age(headers: Mapping[str, str]) -> int:
    """Seconds since an answer was made."""
    return seconds(headers.get("age", "0").split(",")[0].strip())


def lifetime(status: str, headers: Mapping[str, str], *, authorized: bool) -> int:
    """Seconds from its making for which an answer to GET is fresh; 0: it may not be kept.

    What says no time is not guessed at; of several times the shortest counts, and one that cannot
    be read counts as none. Where a cache behind tells how it took part (RFC 9211), what it had at
    hand is fresh for as long as it says, and all else may be something that it does not keep.

    Args:
        status: such as ``200 OK``.
        headers: by name in small letters; values of the same name joined by commas.
        authorized: the request had a credential.
    """
    if not status.startswith("200 ") or "set-cookie" in headers:
        return 0
    said = _directives(headers.get("cache-control", ""))
    if any(one in said for one in _NOT_SHARED):
        return 0
    if authorized and not any(one in said for one in _FOR_ALL):
        return 0
    told = min(map(seconds, said.get("s-maxage") or said.get("max-age") or ["0"]))
    behind = headers.get("cache-status")
    if behind is None:
        return told
    at_hand = _AT_HAND.match(behind)
    return min(told, age(headers) + seconds(at_hand[1])) if at_hand else 0


def seconds(text: str) -> int:
    """A number of seconds (RFC 9111, 1.2.2); 0 for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else 0


def _directives(cache_control: str) -> dict[str, list[str]]:
    """Each directive with the values that it is given."""
    found: dict[str, list[str]] = {}
    for item in parse_list_header(cache_control):
        name, _, value = item.partition("=")
        found.setdefault(name.strip().lower(), []).append(value.strip('"'))
    return found
