"""The bounded cache: limit, eviction and admission."""

import pytest

from bridge.bounded_cache import BoundedCache, CacheMemory


@pytest.fixture
def cache() -> BoundedCache[bytes]:
    return BoundedCache(CacheMemory(100), len)


def test_values_are_kept_up_to_the_byte_limit(cache: BoundedCache[bytes]) -> None:
    for number in range(10):
        cache.put(number, bytes(10))
    assert (len(cache), cache.size) == (10, 100)
    assert all(cache.get(number) == bytes(10) for number in range(10))


def test_a_new_value_replaces_the_old_one(cache: BoundedCache[bytes]) -> None:
    cache.put("a", bytes(80))
    cache.put("a", b"new")
    assert (cache.get("a"), cache.size) == (b"new", 3)


def test_a_larger_value_evicts_the_least_recently_used(
    cache: BoundedCache[bytes],
) -> None:
    for key in "abc":
        cache.put(key, bytes(30))
    cache.get("a")
    cache.put("c", bytes(70))
    assert cache.get("b") is None
    assert (cache.get("a"), cache.get("c")) == (bytes(30), bytes(70))


def test_a_full_cache_does_not_admit_keys_that_are_put_once(cache: BoundedCache[bytes]) -> None:
    cache.put("used", bytes(100))
    for number in range(1_000):
        cache.put(number, bytes(10))
    assert cache.get("used") == bytes(100)
    assert len(cache) == 1


def test_a_key_that_is_put_twice_evicts_the_least_recently_used(
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


def test_a_value_above_the_limit_is_not_kept_and_removes_the_old_one(
    cache: BoundedCache[bytes],
) -> None:
    cache.put("a", b"small")
    cache.put("b", b"other")
    cache.put("a", bytes(101))
    assert cache.get("a") is None
    assert cache.get("b") == b"other"


def test_a_cache_of_zero_bytes_keeps_nothing() -> None:
    cache: BoundedCache[bytes] = BoundedCache(CacheMemory(0), len)
    cache.put("a", b"x")
    cache.put("a", b"x")
    assert cache.get("a") is None


def test_the_cache_that_takes_the_most_of_a_shared_memory_makes_room() -> None:
    memory = CacheMemory(100)
    small: BoundedCache[bytes] = BoundedCache(memory, len)
    large: BoundedCache[bytes] = BoundedCache(memory, len)
    small.put("used", bytes(10))
    for number in range(1_000):
        for _ in range(2):
            large.put(number, bytes(10))
    assert small.get("used") is not None
    assert (small.size, large.size) == (10, 90)
    for _ in range(2):
        small.put("new", bytes(20))
    assert (small.size, large.size) == (30, 70)
    assert large.get(999) is not None
    assert large.get(991) is None
