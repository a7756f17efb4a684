"""Sanitising of text from upstream, for calendars, pages and terminals."""

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache, wraps
from urllib.parse import unquote

# C0 controls except tab and newline, DEL, C1 controls and lone surrogates: a single one makes
# strict parsers reject the whole calendar, and some terminals execute C1 controls (ECMA-48, 5.3).
# Bidirectional marks are kept: right-to-left names need them.
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
# All characters that some program treats as a line break.
_LINE_BREAKS = re.compile(r"\r\n|[\r\n\x0b\x0c\x85\u2028\u2029]")
_BLANKS = re.compile(r"[^\S\n]+")
# Characters that take two code units in UTF-16.
_ASTRAL = re.compile(r"[\U00010000-\U0010ffff]")
_ELLIPSIS = "…"
# Control and format characters, surrogates, separators.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"})


def lru_cached(
    maxsize: int, max_length: int
) -> Callable[[Callable[[str], str]], Callable[[str], str]]:
    """Cache a function's results for texts of at most *max_length* characters.

    Most rows of a timetable repeat the same few names and descriptions.
    """

    def decorator(clean: Callable[[str], str]) -> Callable[[str], str]:
        cached_clean = lru_cache(maxsize)(clean)

        @wraps(clean)
        def wrapper(value: str) -> str:
            return cached_clean(value) if len(value) <= max_length else clean(value)

        return wrapper

    return decorator


def lines(value: str) -> str:
    """Clean multi-line text: newlines only, no unsafe characters, no redundant white space."""
    value = _BLANKS.sub(" ", _UNSAFE.sub("", _LINE_BREAKS.sub("\n", value)))
    value = value.replace(" \n", "\n").replace("\n ", "\n")
    return re.sub(r"\n{3,}", "\n\n", value).strip()


def without_controls(value: str) -> str:
    """*value* without characters that a terminal may execute; line breaks stay."""
    return _UNSAFE.sub("", value)


@lru_cached(maxsize=4_096, max_length=250)
def one_line(value: str) -> str:
    """Like :func:`lines`, with every line break replaced by a space."""
    return " ".join(lines(value).split())


def is_visible(character: str) -> bool:
    """Whether *character* is neither a space nor a control or format character.

    Characters of later versions of Unicode, and those of private fonts, count as visible.
    """
    return unicodedata.category(character) not in _INVISIBLE


def clip(value: str, units: int) -> str:
    """Truncate *value* to at most *units* UTF-16 code units, with ``…`` at the end if it was cut.

    Outlook counts in UTF-16 and truncates at 255 (MS-OXCICAL 2.1.3.1.1.20).
    """
    if len(value) + len(_ASTRAL.findall(value)) <= units:
        return value
    units_left = units - 1
    kept = []
    for character in value:
        units_left -= 2 if ord(character) > 0xFFFF else 1
        if units_left < 0:
            break
        kept.append(character)
    # A joiner or a variation selector before the ellipsis would combine with it.
    return "".join(kept).rstrip("\u200d\ufe0f ") + _ELLIPSIS


# Letters with a stroke, and ligatures: Unicode defines no decomposition for them.
_UNDECOMPOSABLE = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "ŧ": "t", "æ": "ae", "œ": "oe"}
    | {"þ": "th"}
)


def folded(value: str) -> str:
    """*value* without case and accents: a sort key for names, the same in every language."""
    letters = unicodedata.normalize("NFKD", value.casefold()).translate(_UNDECOMPOSABLE)
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


_MEETING_HOSTS = "|".join(
    re.escape(host)
    for host in (
        *("zoom.us", "zoom.com", "zoomgov.com", "meet.google.com", "webex.com", "whereby.com"),
        *("teams.microsoft.com", "teams.live.com", "teams.cloud.microsoft", "meet.jit.si"),
        *("gotomeeting.com", "gotomeet.me", "goto.com", "bluejeans.com", "join.skype.com"),
        *("discord.gg", "chime.aws", "ringcentral.com", "8x8.vc", "join.me", "meet.zoho.com"),
        *("teams.microsoft.us", "hangouts.google.com", "facetime.apple.com"),
    )
)
# A host as in an address: not inside a longer name, nor after the @ of a mail address.
_MEETING_LINK = re.compile(
    r"(?:^|[^\w.@-]|://[^/\s]*@)"
    rf"(?:(?:[a-z0-9-]+\.)*(?:{_MEETING_HOSTS})\.?(?::[0-9]+)?[/?#]|g\.co/meet/)",
    re.IGNORECASE,
)
_MEETING_HINT = re.compile(rf"{_MEETING_HOSTS}|g\.co", re.IGNORECASE)
_WORDS = re.compile(r"[^\s()<>]+")
# A mail program or a search engine writes the address as a parameter of its own one.
_MAX_DECODINGS = 3


@lru_cache(maxsize=1024)
def without_meeting_links(value: str) -> str:
    """Remove links to meeting services, because anyone with such a link can join the class."""
    if "." not in value or not _MEETING_HINT.search(value):
        return value
    cleaned = _WORDS.sub(lambda match: "" if is_meeting_link(match[0]) else match[0], value)
    return value if cleaned == value else lines(re.sub(r"\(\s*\)|<\s*>", "", cleaned))


def is_meeting_link(word: str) -> bool:
    """Whether an address leads to a meeting service, directly or as a parameter of another one."""
    for _ in range(_MAX_DECODINGS):
        if _MEETING_LINK.search(word):
            return True
        decoded = unquote(word)
        if decoded == word:
            return False
        word = decoded
    return _MEETING_LINK.search(word) is not None
