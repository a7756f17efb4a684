"""Feed readers read the Atom feeds of changes, and a validator of RFC 4287 accepts them."""

import json
import warnings
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import feedparser
import pytest
from flask.testing import FlaskClient

from clients import programs
from clients.events import Event, Rejected, difference
from clients.web import get_with_retries

FEEDS = ("/sessions/changes", "/instructors/11/changes", "/venues/999/changes")


def feedparser_(bodies: Sequence[bytes]) -> list[programs.Result]:
    """feedparser for Python; ``bozo`` is its word for a feed that is not well-formed."""
    return [_parsed(body) for body in bodies]


def _parsed(body: bytes) -> programs.Result:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        feed = feedparser.parse(body, sanitize_html=False)
    if feed.bozo or feed.version != "atom10":
        return Rejected(str(feed.get("bozo_exception", feed.version)))
    return [_event(entry.id, entry.title, entry.updated) for entry in feed.entries]


def _event(identity: str, title: str, updated: str) -> Event:
    at = datetime.fromisoformat(updated)
    return Event.of(identity, title, at, at)


READERS: dict[str, Callable[[Sequence[bytes]], list[programs.Result]]] = {
    "feedparser": feedparser_,
    "rss-parser": programs.rss_parser,
    "Ruby's rss": programs.ruby_rss,
}


@pytest.fixture
def feeds(bridge: Callable[[str], tuple[FlaskClient, list[Any]]]) -> dict[bytes, list[Event]]:
    """Atom feeds in two languages, one of them without entries, with their expected entries."""
    client, _ = bridge("changed")

    def get(path: str) -> bytes:
        return get_with_retries(client, path)

    return {
        get(f"{path}.atom?lang={language}"): [
            _event(change["id"], change["text"], change["at"])
            for change in json.loads(get(f"{path}.json?lang={language}"))
        ]
        for path in FEEDS
        for language in ("en", "fr")
    }


@pytest.mark.parametrize("reader", READERS)
def test_a_feed_reader_reads_every_change(reader: str, feeds: dict[bytes, list[Event]]) -> None:
    results = READERS[reader](list(feeds))
    for result, expected in zip(results, feeds.values(), strict=True):
        assert not isinstance(result, Rejected), result
        assert difference(result, expected) == ""


def test_the_feeds_have_changes_of_each_kind_that_text_can_break(
    feeds: dict[bytes, list[Event]],
) -> None:
    english, french, *_ = titles = [" ".join(e.title for e in each) for each in feeds.values()]
    for words in (
        "Cover: ",
        "Moved: ",
        "Renamed: ",
        "Cancelled: ",
        "O\u2019Neill, \\novak & <Söhne>",
    ):
        assert words in english
    assert "Annulé\u00a0: " in french
    assert titles[-2:] == ["", ""]


def test_the_validator_rejects_what_rfc_4287_forbids(feeds: dict[bytes, list[Event]]) -> None:
    replacements = {
        b"</feed>": b"",
        b"author>": b"person>",
        b"id>": b"uid>",
        b"</title>": b"</title><title>Another</title>",
        b"<updated>2026-11-23T": b"<updated>23 November, ",
        b" href=": b" address=",
        b"http://www.w3.org/2005/Atom": b"http://purl.org/atom/ns#",
    }
    body = next(iter(feeds))
    wrong = [body.replace(*pair) for pair in replacements.items()]
    assert body not in wrong
    assert all(isinstance(result, Rejected) for result in programs.ruby_rss(wrong))
