"""The check of pages for valid HTML finds every mistake, although it skips known constructs."""

import re
from collections.abc import Iterator

import html5lib
from flask.testing import FlaskClient
from html5lib.html5parser import ParseError
from pages import Page, page


def mistakes(text: str) -> Iterator[str]:
    """The page *text* with changes, most of which are mistakes."""
    body = text.index("<body")
    tags = [*re.finditer(r"<[^<>]+>", text[body:])]
    for match in tags[:: max(1, len(tags) // 25)]:
        first, last = body + match.start(), body + match.end()
        tag = text[first:last]
        yield text[:first] + text[last:]
        yield text[:first] + tag + text[first:]
        yield text[:last] + "</section>" + text[last:]
        yield text[:last] + "&nothing;&" + text[last:]
        yield text[:last] + "<1" + text[last:]
        yield text[:first] + tag.replace(">", ' title="a" title="b">') + text[last:]
    yield text.replace("<!doctype html>", "")
    yield text.replace("</body>", "")
    yield text.replace("&#39;", "&#0;").replace("&amp;", "&ampx;")


def is_valid(text: str) -> bool:
    try:
        html5lib.HTMLParser(strict=True).parse(text)
    except ParseError:
        return False
    return True


def test_a_mistake_in_a_known_page_is_a_new_construct(site: FlaskClient) -> None:
    text = page(site, "/nowhere", status=404).source
    known = Page(text).constructs
    broken = [changed for changed in mistakes(text) if not is_valid(changed)]
    assert len(broken) > 50
    assert [changed for changed in broken if Page(changed).constructs <= known] == []
