"""Conversion of HTML to plain text: names and descriptions from upstream may contain either."""

import html
import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from bridge.text_cleanup import lines, lru_cached

_MAX_MARKUP = 20_000
# For each tag the parser checks all open elements around it.
_MAX_TAGS = 2_000
_BLOCKS = frozenset(
    "address article aside blockquote caption center dd details dialog dir div dl dt fieldset"
    " figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr legend li main menu nav ol p"
    " pre search section summary table tr ul".split()
)
_SEPARATORS = {"br": "\n", "td": " ", "th": " "}
_HIDDEN = frozenset(("script", "style", "template", "title", "head"))
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][0-9A-Za-z]{1,31});")
# The elements of HTML, obsolete ones included, and the prefixes that Microsoft Word adds.
_ELEMENTS = frozenset(
    "a abbr acronym address applet area article aside audio b base basefont bdi bdo big"
    " blockquote body br button canvas caption center cite code col colgroup data datalist dd"
    " del details dfn dialog dir div dl dt em embed fieldset figcaption figure font footer"
    " form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html i iframe img input ins"
    " kbd label legend li link main map mark marquee menu meta meter nav nobr noframes"
    " noscript object ol optgroup option output p param picture pre progress q rp rt ruby s"
    " samp script search section select slot small source span strike strong style sub summary"
    " sup svg table tbody td template textarea tfoot th thead time title tr track tt u ul var"
    " video wbr".split()
)
_LESS_THAN = re.compile(
    r"<(?P<tag>/?(?:(?P<name>[a-zA-Z][a-zA-Z0-9]*)|(?:o|v|w|m|st1):[a-zA-Z]+)(?=[\s/>])"
    r"|!--|![dD][oO][cC][tT][yY][pP][eE])?"
)


def unescape(value: str) -> str:
    """Resolve the character references of HTML in a plain text, once.

    A text with tags is returned as it is: it is no plain text.
    """
    if "&" not in value or "<" in _escape_non_tags(value):
        return value
    return _ENTITY.sub(lambda match: html.unescape(match[0]), value)


@lru_cached(maxsize=512, max_length=4_000)
def plain(value: str) -> str:
    """Convert *value*, which may be HTML or plain text, to plain text.

    Clients display tags literally. A value without tags and entities is treated as plain text, so
    that its line breaks are kept. What is in angle brackets and is no element is text: addresses
    are often written so (RFC 3986, appendix C).
    """
    value = "<".join(value[:_MAX_MARKUP].split("<", _MAX_TAGS + 1)[: _MAX_TAGS + 1])
    markup = _escape_non_tags(value)
    if "<" not in markup:
        return lines(unescape(value))
    root = LexborHTMLParser(markup).root
    return "" if root is None else lines("".join(_TextParts().of(root)))


def _escape_non_tags(value: str) -> str:
    """Write ``<`` as a character reference where no tag begins."""

    def escape(match: re.Match[str]) -> str:
        name = match["name"]
        is_tag = match["tag"] and (name is None or name.lower() in _ELEMENTS)
        return match[0] if is_tag else f"&lt;{match[0][1:]}"

    return _LESS_THAN.sub(escape, value)


class _TextParts:
    """The text of an HTML tree, with line breaks between blocks, and the addresses of links."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        # By element id, recorded on the way down: searching the ancestors of every text node would
        # be quadratic in the depth of hostile HTML.
        self._block_of: dict[int, int] = {}
        self._link_of: dict[int, int] = {}
        self._hidden: set[int] = set()
        self._preformatted: set[int] = set()
        self._paragraphs: set[int] = set()
        self._list_items: set[int] = set()
        self._last_block = 0
        self._link: tuple[int, str] | None = None
        self._link_start = 0

    def of(self, root: LexborNode) -> list[str]:
        """The parts of the text below *root*."""
        for node in root.traverse(include_text=True):
            parent = node.parent.mem_id if node.parent else 0
            if self._link is not None and self._link_of.get(parent, 0) != self._link[0]:
                self._end_link()
            if node.tag == "-text":
                self._add_text(node.text_content or "", parent)
            else:
                self._enter(node, parent)
        self._end_link()
        return self._parts

    def _enter(self, node: LexborNode, parent: int) -> None:
        identity, tag = node.mem_id, node.tag
        if parent in self._hidden or tag in _HIDDEN:
            self._hidden.add(identity)
        if parent in self._preformatted or tag == "pre":
            self._preformatted.add(identity)
        self._block_of[identity] = identity if tag in _BLOCKS else self._block_of.get(parent, 0)
        self._link_of[identity] = self._link_of.get(parent, 0)
        if tag == "a" and identity not in self._hidden:
            target = _LINK_TARGET.fullmatch((node.attributes.get("href") or "").strip())
            self._link = (identity, (target["address"] or target["mail"]) if target else "")
            self._link_start = len(self._parts)
            self._link_of[identity] = identity
        elif tag == "p":
            self._paragraphs.add(identity)
        elif tag == "li":
            self._list_items.add(identity)
        elif tag in _SEPARATORS:
            self._parts.append(_SEPARATORS[tag])

    def _add_text(self, text: str, parent: int) -> None:
        text = re.sub(r"[^\S\n]+" if parent in self._preformatted else r"\s+", " ", text)
        block, last = self._block_of.get(parent, 0), self._last_block
        if parent in self._hidden or (block != last and not text.strip()):
            return
        if block != last:
            paragraph = block in self._paragraphs or last in self._paragraphs
            self._parts.append("\n\n" if paragraph else "\n")
            self._last_block = block
            if block in self._list_items:
                self._parts.append("- ")
                self._list_items.discard(block)
        self._parts.append(text)

    def _end_link(self) -> None:
        """Add the address of the link that ends, unless it is the link's own text."""
        if self._link is None:
            return
        _, address = self._link
        self._link = None
        text = "".join(self._parts[self._link_start :])
        if not address or _bare(text) == _bare(address):
            return
        end = text[len(text.rstrip()) :]
        linked = f"{text.rstrip()} ({address}){end}" if text.strip() else f" {address} "
        self._parts[self._link_start :] = [linked]


_LINK_TARGET = re.compile(
    r"(?P<address>https?://[^\s/?#@\\\"<>]+(?:[/?#][^\s\\\"<>^`{|}]*)?)"
    r"|mailto:(?P<mail>[^\s?@]+@[^\s?@]+)(?:\?.*)?",
    re.IGNORECASE,
)


def _bare(address: str) -> str:
    """An address as people write it, without scheme and final slash."""
    return re.sub(r"^https?://", "", address.strip(), flags=re.IGNORECASE).rstrip("/").lower()
