"""Text from upstream, made fit to be shown in a calendar, a page or a terminal."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache, wraps

from selectolax.lexbor import LexborHTMLParser, LexborNode

# C0 controls but tab and newline, DEL, lone surrogates: one of them makes strict parsers reject a
# whole calendar. The bidirectional marks stay: right-to-left names need them.
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufeff\ufffe\uffff]")
_COMMANDS = re.compile(r"[\x80-\x9f]")
# Everything that some reader takes for the end of a line.
_BREAKS = re.compile(r"\r\n|[\r\n\x0b\x0c\x85\u2028\u2029]")
_BLANKS = re.compile(r"[^\S\n]+")
# What takes two code units in UTF-16.
_LARGE = re.compile(r"[\U00010000-\U0010ffff]")
_MAX_MARKUP = 20_000
# An open tag costs the parser a look at all that are open around it.
_MAX_TAGS = 2_000
_ELLIPSIS = "…"

_BLOCKS = frozenset(
    "address article aside blockquote dd div dl dt figure footer h1 h2 h3 h4 h5 h6 header hr li"
    " main nav ol p pre section table tr ul".split()
)
_BETWEEN = {"br": "\n", "td": " ", "th": " "}
_HIDDEN = frozenset(("script", "style", "template", "title", "head"))


def _remembered(texts: int, longest: int) -> Callable[[Callable[[str], str]], Callable[[str], str]]:
    """Makes a function remember what it made of so many *texts*, of up to *longest* characters.

    A timetable says the same few names and descriptions in most of its rows.
    """

    def remembering(clean: Callable[[str], str]) -> Callable[[str], str]:
        known = lru_cache(texts)(clean)

        @wraps(clean)
        def cleaned(value: str) -> str:
            return known(value) if len(value) <= longest else clean(value)

        return cleaned

    return remembering


def lines(value: str) -> str:
    """Plain text of any number of lines: breaks are newlines, nothing unsafe, no ragged blanks."""
    value = _BLANKS.sub(" ", _UNSAFE.sub("", _BREAKS.sub("\n", value)))
    value = value.replace(" \n", "\n").replace("\n ", "\n")
    return re.sub(r"\n{3,}", "\n\n", value).strip()


def for_terminal(value: str) -> str:
    """*value* without C1 controls, which are commands to some terminals (ECMA-48, 5.3)."""
    return _COMMANDS.sub("", value)


@_remembered(texts=4_096, longest=250)
def one_line(value: str) -> str:
    """The same in one line."""
    return " ".join(lines(value).split())


def clip(value: str, units: int) -> str:
    """At most *units* UTF-16 code units of *value*, cut between characters and marked by ``…``.

    Outlook counts in UTF-16 and cuts at 255 (MS-OXCICAL 2.1.3.1.1.20).
    """
    if len(value) + len(_LARGE.findall(value)) <= units:
        return value
    room = units - 1
    kept = []
    for character in value:
        room -= 2 if ord(character) > 0xFFFF else 1
        if room < 0:
            break
        kept.append(character)
    # A joiner or a variation selector at the cut would take hold of the mark.
    return "".join(kept).rstrip("\u200d\ufe0f ") + _ELLIPSIS


# Letters that are others with a stroke or two in one, which Unicode does not take apart.
_LETTERS = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "ŧ": "t", "æ": "ae", "œ": "oe"}
    | {"þ": "th"}
)


def folded(value: str) -> str:
    """*value* without case and accents: what names are put in order by, for any reader."""
    letters = unicodedata.normalize("NFKD", value.casefold()).translate(_LETTERS)
    return "".join(one for one in letters if not unicodedata.combining(one))


_MARKUP = re.compile(r"<(?:/?[a-zA-Z][^<>]{0,2000}|!--[^<>]{0,2000})>|&(?:#?[0-9A-Za-z]{1,31});")


@_remembered(texts=512, longest=4_000)
def plain(value: str) -> str:
    """*value*, which may be HTML or plain text, as plain text.

    Clients show tags as they stand. What has no tag and no entity is taken as plain text, so that
    its own line breaks are kept.
    """
    value = "<".join(value[:_MAX_MARKUP].split("<", _MAX_TAGS + 1)[: _MAX_TAGS + 1])
    if not _MARKUP.search(value):
        return lines(value)
    root = LexborHTMLParser(value).root
    return "" if root is None else lines("".join(_pieces(root)))


def _pieces(root: LexborNode) -> Iterator[str]:
    """The text below *root*, with breaks where one block of it ends and another begins."""
    # The block and the hiddenness that each element is in, noted on the way down: looking up the
    # tree from every text would take the square of a hostile depth.
    block: dict[int, int] = {}
    hidden: set[int] = set()
    paragraphs: set[int] = set()
    items: set[int] = set()
    last = 0
    for node in root.traverse(include_text=True):
        above = node.parent.mem_id if node.parent else 0
        if node.tag == "-text":
            text = re.sub(r"\s+", " ", node.text_content or "")
            here = block.get(above, 0)
            if above in hidden or (here != last and not text.strip()):
                continue
            if here != last:
                yield "\n\n" if here in paragraphs or last in paragraphs else "\n"
                last = here
                if here in items:
                    yield "- "
                    items.discard(here)
            yield text
            continue
        if above in hidden or node.tag in _HIDDEN:
            hidden.add(node.mem_id)
        block[node.mem_id] = node.mem_id if node.tag in _BLOCKS else block.get(above, 0)
        if node.tag == "p":
            paragraphs.add(node.mem_id)
        elif node.tag == "li":
            items.add(node.mem_id)
        elif node.tag in _BETWEEN:
            yield _BETWEEN[node.tag]
