"""Parsing of pages in tests."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import html5lib
from flask.testing import FlaskClient

_VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())


class Page(HTMLParser):
    """The links, tags and text of a page.

    Attributes:
        links: the values of all ``href``.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.source = text
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._words: list[str] = []
        self._inside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.tags.append((tag, attributes))
        if "href" in attributes:
            self.links.append(attributes["href"])
        if tag not in _VOID:
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._inside:
            while self._inside.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self._inside):
            self._words.append(data)

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
    """The page at *path*; it must be valid HTML by the WHATWG parser."""
    response = client.get(path, headers=headers)
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    parser = html5lib.HTMLParser(strict=True)
    parser.parse(response.text)
    return Page(response.text)
