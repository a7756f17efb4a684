"""Canaries: secret strings and counts, and `leaks`, which searches any output for them."""

import base64
import gzip
import html
import re
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

TOKEN = "canary-token-Q7xV2mRk9Lw4"
KEYS = ("canary-newkey-8sHd02kqPz", "canary-oldkey-f91kXxz7Tt")
OPERATOR = "canary-operator-0hT5yybE3n"
WEBHOOK = "canary-hook-41jdKw8v"
CHANGES_KEY = "canary-changeskey-6kLp20wQzX"
PASSWORD = "canary-password-77gRt5"
"""The password of the store's server."""

ATTENDING, CAPACITY = 71_993, 90_717
PLACES_LEFT = CAPACITY - ATTENDING
"""Counts that do not occur by chance; the rounded number of places left is not a canary."""

_WORD = re.compile(rb"canary[-_]([a-z]+)", re.IGNORECASE)


def _grouped(count: int) -> bytes:
    """A pattern for *count* with the digit grouping of any language."""
    return f"{count:_}".replace("_", "(?:[,. ]|\u2009|\u202f|\xa0)?").encode()


_COUNTS = b"|".join(_grouped(count) for count in (ATTENDING, CAPACITY, PLACES_LEFT))
_COUNT = re.compile(rb"(?<![0-9.])(?:%s)(?![0-9])" % _COUNTS)
# Random ids of requests, entries and events: they can contain any five digits by chance.
_IDENTITY = re.compile(
    rb"(?<![0-9a-z])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16}|[0-9a-f]{32})(?![0-9a-z])"
)


def _encoded() -> tuple[bytes, ...]:
    """``canary`` in base64, for each of the three possible alignments."""
    whole = (base64.b64encode(b"\0" * at + b"canary\0\0") for at in range(3))
    return tuple(text[-(-at * 8 // 6) : (at + 6) * 8 // 6] for at, text in enumerate(whole))


_BASE64 = _encoded()


def leaks(data: bytes | str, *, but: Iterable[str] = ()) -> set[str]:
    """Return the canaries in *data*, in any encoding, as the words that follow ``canary``.

    Args:
        but: words that *data* may contain.
    """
    raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    if raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    found: set[str] = set()
    # Folded lines, percent-encoding and HTML entities can hide a word.
    unfolded = raw.replace(b"\r\n ", b"")
    for view in {unfolded, unquote_to_bytes(unfolded)}:
        found.update(match[1].decode().lower() for match in _WORD.finditer(view))
        if _COUNT.search(_IDENTITY.sub(b"", view)):
            found.add("count")
    if b"&#" in raw:
        text = html.unescape(raw.decode("utf-8", "replace")).encode()
        found.update(match[1].decode().lower() for match in _WORD.finditer(text))
    if any(pattern in raw for pattern in _BASE64):
        found.add("base64")
    return found - set(but)
