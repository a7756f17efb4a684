"""Freshness: which answers a shared cache may keep, and for how long (RFC 9111, 3 and 4.2)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from werkzeug.http import parse_list_header

_NOT_SHARED = ("no-store", "private", "no-cache")
# With a credential an answer is one person's, unless it says otherwise (RFC 9111, 3.5).
_FOR_ALL = ("public", "s-maxage", "must-revalidate")
# Who says so wants nothing stale of it (RFC 9111, 4.2.4).
_NEVER_STALE = ("must-revalidate", "proxy-revalidate", "s-maxage")
_ALLOWANCES = ("stale-while-revalidate", "stale-if-error")
_AT_HAND = re.compile(r"[^;,]+;\s*hit;\s*ttl=(-?[0-9]{1,10})(?![0-9])")
_NO_NEWER = re.compile(r"[^;,]+;\s*fwd=stale(?!.*;\s*stored)")
_STALE = re.compile(r"detail=\"?[^\";]*\bstale\b")


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Ages of an answer, in seconds from its making.

    Attributes:
        fresh: up to which it is fresh; 0: it may not be kept as such.
        usable: up to which it may be given while it is asked for anew; 0: not at all.
        over: at which its freshness ended, as a cache behind tells.
    """

    fresh: int = 0
    usable: int = 0
    over: int = 0


_NONE = Lifetime()


def age(headers: Mapping[str, str]) -> int:
    """Seconds since an answer was made."""
    return seconds(headers.get("age", "0").split(",")[0].strip())


def lifetime(status: str, headers: Mapping[str, str], *, authorized: bool) -> Lifetime:
    """How long an answer to GET may be kept.

    What says no time is not guessed at; of several times the shortest counts, and one that cannot
    be read counts as none. Where a cache behind tells how it took part (RFC 9211), what it had at
    hand is fresh for as long as it says, and all else may be something that it does not keep. What
    it gives though its time is over can be given by others too, within the allowances for that
    (RFC 5861).

    Args:
        status: such as ``200 OK``.
        headers: by name in small letters; values of the same name joined by commas.
        authorized: the request had a credential.
    """
    said = _directives(headers.get("cache-control", ""))
    if not status.startswith("200 ") or not _is_for_all(headers, said, authorized=authorized):
        return _NONE
    told = _least(said.get("s-maxage") or said.get("max-age"))
    behind = headers.get("cache-status")
    if behind is None:
        return Lifetime(fresh=told)
    allowed = max(_least(said.get(one)) for one in _ALLOWANCES)
    strict = any(one in said for one in _NEVER_STALE)
    usable = told + allowed if allowed and not strict else 0
    at_hand = _AT_HAND.match(behind)
    if at_hand is None:
        return Lifetime(usable=usable) if _NO_NEWER.match(behind) else _NONE
    over = age(headers) + int(at_hand[1])
    if at_hand[1].startswith("-") or _STALE.search(behind):
        return Lifetime(usable=usable, over=over)
    return Lifetime(fresh=min(told, over), usable=min(usable, over), over=over)


def _is_for_all(
    headers: Mapping[str, str], said: Mapping[str, list[str]], *, authorized: bool
) -> bool:
    if "set-cookie" in headers or any(one in said for one in _NOT_SHARED):
        return False
    return not authorized or any(one in said for one in _FOR_ALL)


def _least(values: list[str] | None) -> int:
    return min(map(seconds, values or ["0"]))


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
