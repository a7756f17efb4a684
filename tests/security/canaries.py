"""Strings that nobody may ever read, and the search for them in whatever came out."""

import base64
import gzip
import html
import re
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

TOKEN = "canary-token-Q7xV2mRk9Lw4"
KEYS = ("canary-newkey-8sHd02kqPz", "canary-oldkey-f91kXxz7Tt")
OPERATOR = "canary-operator-0hT5yybE3n"
HOOK = "canary-hook-41jdKw8v"
PASSWORD = "canary-password-77gRt5"
"""Of the store's server."""

ATTENDING, CAPACITY = 71_993, 90_717
LEFT = CAPACITY - ATTENDING
"""Counts that cannot be there by chance; the rounded number of places left is not among them."""

_WORD = re.compile(rb"canary[-_]([a-z]+)", re.IGNORECASE)


def _grouped(count: int) -> bytes:
    """A pattern for *count*, however a language groups its digits."""
    return f"{count:_}".replace("_", "(?:[,. ]|\u2009|\u202f|\xa0)?").encode()


_COUNTS = b"|".join(_grouped(one) for one in (ATTENDING, CAPACITY, LEFT))
_COUNT = re.compile(rb"(?<![0-9.])(?:%s)(?![0-9])" % _COUNTS)
# Of requests, entries and events: made by chance, they hold any five digits sooner or later.
_IDENTITY = re.compile(
    rb"(?<![0-9a-z])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16}|[0-9a-f]{32})(?![0-9a-z])"
)


def _encoded() -> tuple[bytes, ...]:
    """How ``canary`` looks in base64, at each of the three places where it may begin."""
    whole = (base64.b64encode(b"\0" * at + b"canary\0\0") for at in range(3))
    return tuple(text[-(-at * 8 // 6) : (at + 6) * 8 // 6] for at, text in enumerate(whole))


_BASE64 = _encoded()


def leaks(data: bytes | str, *, but: Iterable[str] = ()) -> set[str]:
    """The canaries in *data*, by the word that follows ``canary``, however they are written.

    Args:
        but: words that whoever reads *data* may know.
    """
    raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    if raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    found: set[str] = set()
    # folded lines, percent-encoding and entities can each hide a word
    unfolded = raw.replace(b"\r\n ", b"")
    for view in {unfolded, unquote_to_bytes(unfolded)}:
        found.update(match[1].decode().lower() for match in _WORD.finditer(view))
        if _COUNT.search(_IDENTITY.sub(b"", view)):
            found.add("count")
    if b"&#" in raw:
        text = html.unescape(raw.decode("utf-8", "replace")).encode()
        found.update(match[1].decode().lower() for match in _WORD.finditer(text))
    if any(one in raw for one in _BASE64):
        found.add("base64")
    return found - set(but)
