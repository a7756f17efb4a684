"""Sanitising of text from upstream, for calendars, pages and terminals."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache, wraps

from selectolax.lexbor import LexborHTMLParser, LexborNode

# C0 controls except tab and newline, DEL and lone surrogates: a single one makes strict parsers
# reject the whole calendar. Bidirectional marks are kept: right-to-left names need them.
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufeff\ufffe\uffff]")
_C1_CONTROLS = re.compile(r"[\x80-\x9f]")
# All characters that some program treats as a line break.
_LINE_BREAKS = re.compile(r"\r\n|[\r\n\x0b\x0c\x85\u2028\u2029]")
_BLANKS = re.compile(r"[^\S\n]+")
# Characters that take two code units in UTF-16.
_ASTRAL = re.compile(r"[\U00010000-\U0010ffff]")
_MAX_MARKUP = 20_000
# For each tag the parser checks all open elements around it.
_MAX_TAGS = 2_000
_ELLIPSIS = "…"

_BLOCKS = frozenset(
    "address article aside blockquote dd div dl dt figure footer h1 h2 h3 h4 h5 h6 header hr li"
    " main nav ol p pre section table tr ul".split()
)
_SEPARATORS = {"br": "\n", "td": " ", "th": " "}
_HIDDEN = frozenset(("script", "style", "template", "title", "head"))


def _lru_cached(
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


def for_terminal(value: str) -> str:
    """Remove C1 controls, which some terminals execute (ECMA-48, 5.3)."""
    return _C1_CONTROLS.sub("", value)


@_lru_cached(maxsize=4_096, max_length=250)
def one_line(value: str) -> str:
    """Like :func:`lines`, with every line break replaced by a space."""
    return " ".join(lines(value).split())


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


_MARKUP = re.compile(r"<(?:/?[a-zA-Z][^<>]{0,2000}|!--[^<>]{0,2000})>|&(?:#?[0-9A-Za-z]{1,31});")


@_lru_cached(maxsize=512, max_length=4_000)
def plain(value: str) -> str:
    """Convert *value*, which may be HTML or plain text, to plain text.

    Clients display tags literally. A value without tags and entities is treated as plain text, so
    that its line breaks are kept.
    """
    value = "<".join(value[:_MAX_MARKUP].split("<", _MAX_TAGS + 1)[: _MAX_TAGS + 1])
    if not _MARKUP.search(value):
        return lines(value)
    root = LexborHTMLParser(value).root
    return "" if root is None else lines("".join(_text_parts(root)))


def _text_parts(root: LexborNode) -> Iterator[str]:
    """The text below *root*, with line breaks between block elements."""
    # By element id, the enclosing block and whether it is hidden, recorded on the way down:
    # searching the ancestors of every text node would be quadratic in the depth of hostile HTML.
    enclosing_block: dict[int, int] = {}
    hidden: set[int] = set()
    paragraphs: set[int] = set()
    list_items: set[int] = set()
    last_block = 0
    for node in root.traverse(include_text=True):
        parent = node.parent.mem_id if node.parent else 0
        if node.tag == "-text":
            text = re.sub(r"\s+", " ", node.text_content or "")
            block = enclosing_block.get(parent, 0)
            if parent in hidden or (block != last_block and not text.strip()):
                continue
            if block != last_block:
                yield "\n\n" if block in paragraphs or last_block in paragraphs else "\n"
                last_block = block
                if block in list_items:
                    yield "- "
                    list_items.discard(block)
            yield text
            continue
        if parent in hidden or node.tag in _HIDDEN:
            hidden.add(node.mem_id)
        enclosing_block[node.mem_id] = (
            node.mem_id if node.tag in _BLOCKS else enclosing_block.get(parent, 0)
        )
        if node.tag == "p":
            paragraphs.add(node.mem_id)
        elif node.tag == "li":
            list_items.add(node.mem_id)
        elif node.tag in _SEPARATORS:
            yield _SEPARATORS[node.tag]
