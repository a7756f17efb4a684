"""The bounded memory of a worker."""

import pytest

from bridge.bounded_cache import BoundedCache


@pytest.fixture
def cache() -> BoundedCache[bytes]:
    return BoundedCache(100, len)


def test_values_are_kept_up_to_a_number_of_bytes(cache: BoundedCache[bytes]) -> None:
    for number in range(10):
        cache.put(number, bytes(10))
    assert (len(cache), cache.size) == (10, 100)
    assert all(cache.get(number) == bytes(10) for number in range(10))


def test_a_new_value_takes_the_place_of_the_keys_old_one(cache: BoundedCache[bytes]) -> None:
    cache.put("a", bytes(80))
    cache.put("a", b"new")
    assert (cache.get("a"), cache.size) == (b"new", 3)


def test_a_value_that_has_grown_drives_out_the_least_recently_used(
    cache: BoundedCache[bytes],
) -> None:
    for key in "abc":
        cache.put(key, bytes(30))
    cache.get("a")
    cache.put("c", bytes(70))
    assert cache.get("b") is None
    assert (cache.get("a"), cache.get("c")) == (bytes(30), bytes(70))


def test_what_is_put_once_finds_no_room_in_a_full_one(cache: BoundedCache[bytes]) -> None:
    cache.put("used", bytes(100))
    for number in range(1_000):
        cache.put(number, bytes(10))
    assert cache.get("used") == bytes(100)
    assert len(cache) == 1


def test_what_comes_back_takes_the_place_of_the_least_recently_used(
    cache: BoundedCache[bytes],
) -> None:
    cache.put("old", bytes(50))
    cache.put("used", bytes(50))
    cache.get("old")
    cache.get("used")
    for _ in range(2):
        cache.put("new", bytes(50))
    assert cache.get("old") is None
    assert cache.get("used") == cache.get("new") == bytes(50)


def test_what_is_larger_than_all_is_not_kept_nor_what_it_should_replace(
    cache: BoundedCache[bytes],
) -> None:
    cache.put("a", b"small")
    cache.put("b", b"other")
    cache.put("a", bytes(101))
    assert cache.get("a") is None
    assert cache.get("b") == b"other"


def test_one_that_may_keep_nothing_keeps_nothing() -> None:
    cache: BoundedCache[bytes] = BoundedCache(0, len)
    cache.put("a", b"x")
    cache.put("a", b"x")
    assert cache.get("a") is None
