"""Feeds between walks: what did not change is not made anew."""

import gzip
from collections.abc import Callable
from typing import Any

import pytest
from clocks import ManualClock

from bridge.feeds.feed import Feeds
from bridge.feeds.formats import FORMATS
from bridge.feeds.params import feed_spec
from bridge.feeds.spec import FeedSpec, Kind
from bridge.sandbox.studio import Studio
from bridge.services import Services

EXPIRED = 5000


@pytest.fixture
def parts(make_bridge: Callable[..., Services]) -> Services:
    return make_bridge()


@pytest.fixture
def compressed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of what was compressed."""
    sizes: list[int] = []
    compress = gzip.compress

    def noted(data: bytes, *given: Any, **named: Any) -> bytes:
        sizes.append(len(data))
        return compress(data, *given, **named)

    monkeypatch.setattr("bridge.feeds.feed.gzip.compress", noted)
    return sizes


def venue(parts: Services) -> FeedSpec:
    return feed_spec(Kind.VENUE, 12, (), parts.defaults)


def version(parts: Services) -> str:
    return parts.router.find(venue(parts).filter_set).version


def bodies(feeds: Feeds, parts: Services) -> list[Any]:
    spec = venue(parts)
    return [feeds.get(spec, form).body for form in FORMATS.values()]


def test_after_a_walk_without_changes_a_feed_is_the_very_bytes_that_it_was(
    parts: Services, clock: ManualClock, compressed: list[int]
) -> None:
    before = bodies(parts.feeds, parts)
    walk = version(parts)
    compressed.clear()
    clock.move(EXPIRED)
    after = bodies(parts.feeds, parts)
    assert version(parts) != walk
    for one, was in zip(after, before, strict=True):
        assert one.plain is was.plain
        assert one.zipped is was.zipped
        assert (one.tag, one.changed) == (was.tag, was.changed)
    assert compressed == []


def test_after_a_change_it_is_compressed_once(
    parts: Services, clock: ManualClock, studio: Studio, compressed: list[int]
) -> None:
    before = bodies(parts.feeds, parts)
    compressed.clear()
    clock.move(EXPIRED)
    for row in studio.sessions:
        studio.rename(row["id"], "Changed")
    after = bodies(parts.feeds, parts)
    again = bodies(parts.feeds, parts)
    assert all(one.tag != was.tag for one, was in zip(after, before, strict=True))
    assert all(one is was for one, was in zip(again, after, strict=True))
    assert sorted(compressed) == sorted(len(one.plain) for one in after)
    for one in after:
        assert gzip.decompress(one.zipped) == one.plain
