"""Parsing of pages in tests."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import html5lib
from flask.testing import FlaskClient
from thorough import THOROUGH

# The constructs that a strict parser has accepted in some page; see `Page.constructs`.
_valid: set[object] = set()
_VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())


class Page(HTMLParser):
    """The links, tags and text of a page.

    Attributes:
        links: the values of all ``href``.
        constructs: all that can make a page invalid, once each: every element with the names of its
            attributes, its ancestors and the tag before it, every end tag where it stands (and
            whether it has attributes), every character reference, and each declaration.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.source = text
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._words: list[str] = []
        self._inside: list[str] = []
        self._before = ""
        self.constructs: set[object] = {*re.findall(r"&[#\w]*;?|</\w+[^\w>]|<[!?/]?[^\w<>]", text)}
        self.feed(text)
        self.close()
        self.constructs.add(("end", *self._inside))

    def handle_decl(self, decl: str) -> None:
        self._add("declaration", decl)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self._add(tag, *(name for name, _ in attrs))
        self.tags.append((tag, attributes))
        if "href" in attributes:
            self.links.append(attributes["href"])
        if tag not in _VOID:
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self._add("/" + tag)
        if tag in self._inside:
            while self._inside.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self._inside):
            self._words.append(data)
        if not data.isspace():
            self._add("text")

    def _add(self, *construct: str) -> None:
        self.constructs.add((tuple(self._inside), self._before, construct))
        self._before = construct[0]

    @property
    def text(self) -> str:
        """The visible text, in one line."""
        return " ".join(" ".join(self._words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every *tag*."""
        return [attributes for name, attributes in self.tags if name == tag]

    def value(self, identity: str) -> str:
        """The ``value`` of the element with that id."""
        return next(tag["value"] for _, tag in self.tags if tag.get("id") == identity)

    @property
    def structured(self) -> list[dict[str, Any]]:
        """The events in the structured data."""
        pattern = r'<script type="application/ld\+json">(.*?)</script>'
        scripts = re.findall(pattern, self.source, re.DOTALL)
        return [event for text in scripts for event in json.loads(text)["@graph"]]


def page(client: FlaskClient, path: str, status: int = 200, **headers: str) -> Page:
    """The page at *path*; it must be valid HTML by the WHATWG parser.

    That parser takes ten times as long as the rest of a test. It reads a page that has a construct
    which no valid page before it had; with ``THOROUGH=1`` it reads each page.
    """
    response = client.get(path, headers=headers)
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    found = Page(response.text)
    if THOROUGH or not found.constructs <= _valid:
        html5lib.HTMLParser(strict=True).parse(response.text)
        _valid.update(found.constructs)
    return found
