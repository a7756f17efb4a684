"""Caching of feeds: an unchanged feed is not rendered and compressed again."""

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
    """The sizes of the bodies that were compressed."""
    sizes: list[int] = []
    compress = gzip.compress

    def recorded(data: bytes, *args: Any, **kwargs: Any) -> bytes:
        sizes.append(len(data))
        return compress(data, *args, **kwargs)

    monkeypatch.setattr("bridge.feeds.feed.gzip.compress", recorded)
    return sizes


def venue(parts: Services) -> FeedSpec:
    return feed_spec(Kind.VENUE, 12, (), parts.defaults)


def version(parts: Services) -> str:
    return parts.router.find(venue(parts).filter_set).version


def bodies(feeds: Feeds, parts: Services) -> list[Any]:
    spec = venue(parts)
    return [feeds.get(spec, form).body for form in FORMATS.values()]


def test_a_walk_without_changes_keeps_the_same_bytes_objects(
    parts: Services, clock: ManualClock, compressed: list[int]
) -> None:
    before = bodies(parts.feeds, parts)
    walk = version(parts)
    compressed.clear()
    clock.move(EXPIRED)
    after = bodies(parts.feeds, parts)
    assert version(parts) != walk
    for new, old in zip(after, before, strict=True):
        assert new.plain is old.plain
        assert new.gzipped is old.gzipped
        assert (new.etag, new.changed) == (old.etag, old.changed)
    assert compressed == []


def test_a_changed_feed_is_compressed_once(
    parts: Services, clock: ManualClock, studio: Studio, compressed: list[int]
) -> None:
    before = bodies(parts.feeds, parts)
    compressed.clear()
    clock.move(EXPIRED)
    for row in studio.sessions:
        studio.change(row["id"], name="Changed")
    after = bodies(parts.feeds, parts)
    again = bodies(parts.feeds, parts)
    assert all(new.etag != old.etag for new, old in zip(after, before, strict=True))
    assert all(new is old for new, old in zip(again, after, strict=True))
    assert sorted(compressed) == sorted(len(body.plain) for body in after)
    for body in after:
        assert gzip.decompress(body.gzipped) == body.plain
