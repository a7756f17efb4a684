"""No canary leaks, for any request and any upstream fault."""

from collections.abc import Callable
from typing import Any

import pytest
from clocks import wait_until
from faults.scenarios import STALE, FastClock, cache_state
from flask import Flask
from security import canaries, studios
from security.sites import QUERIES, Site, all_paths, kind_of, some_paths
from thorough import THOROUGH
from upstreams.raw import RawUpstream

from bridge.config import Availability, LogRequests
from bridge.sandbox.faults import KINDS

FEED = "/venues/11.ics"
VERBOSE: dict[str, Any] = {"log_requests": LogRequests.ALL, "log_format": "json"}


def finish_refresh(site: Site) -> None:
    """Send requests until the refresh that they start has ended."""
    wait_until(lambda: cache_state(site.request(FEED)) != "stale")


@pytest.mark.parametrize("availability", Availability)
def test_nothing_leaks_while_upstream_works(
    make_site: Callable[..., Site], availability: Availability
) -> None:
    site = make_site(public_availability=availability, **VERBOSE)
    site.request_all()
    if availability is Availability.FULL or THOROUGH:
        for method in ("HEAD", "OPTIONS", "POST"):
            site.request_all(method)
        guess = {"Authorization": "Bearer guessed"}
        site.request_all(Accept_Encoding="gzip", Accept_Language="ar", **guess)
        site.request_all(Range="bytes=0-10", If_None_Match="*", Origin="https://studio.example")
    for option in ("none", "full", "spots"):
        for form in ("ics", "json", "txt"):
            site.request(f"/sessions.{form}?availability={option}&cancelled=keep")
    assert site.leaks() == {}
    assert b"Vinyasa" in site.responses[f"GET {FEED} {{}}"]


def samples(app: Flask, number: int) -> tuple[list[str], list[str]]:
    """Paths for a bridge that has read the timetable before a fault, and for one that has not.

    Together they have every kind of page and feed; the next dozen of faults has them the other way
    round. With ``THOROUGH=1`` both are all paths.
    """
    first, second = some_paths(app, number), some_paths(app, number + 1)
    if THOROUGH:
        return first, second
    half = number // 12 % 2
    return first[half::2], second[1 - half :: 2]


@pytest.mark.parametrize("fault", studios.FAULTS)
def test_nothing_leaks_under_any_upstream_fault(
    make_site: Callable[..., Site], teamup: RawUpstream, fast_clock: FastClock, fault: str
) -> None:
    number = [*studios.FAULTS].index(fault)
    warm = make_site(**VERBOSE)
    warm.request(FEED)
    teamup.script = studios.FAULTS[fault]
    # Twice: sessions missing from two walks count as cancelled.
    for _ in range(2):
        fast_clock.move(STALE)
        finish_refresh(warm)
    before, after = samples(warm.app, number)
    for path in before:
        warm.request(path, Accept_Encoding="gzip")
    cold = make_site(cold=True, **{**VERBOSE, "log_format": "console"})
    cold.request(FEED)
    for path in after:
        cold.request(path)
    assert {"warm": warm.leaks(), "cold": cold.leaks()} == {
        "warm": {},
        "cold": {},
    }


def test_the_faults_include_all_faults_of_the_sandbox() -> None:
    equivalents = {
        "status": "status-500", "delay": "silence", "redirect": None, "html": "html",
        "truncate": "short", "empty": "gone",
        "no_visibility": "no-visibility", "unexpanded": "unexpanded", "ignore_filters": "well",
    }  # fmt: skip
    assert set(equivalents) == set(KINDS)
    # Redirects are tested in test_foreign_hosts.py; the stub always ignores filters.
    assert {name for name in equivalents.values() if name not in (None, "well")} <= set(
        studios.FAULTS
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nothing of interest, 71 and 993", set()),
        (canaries.TOKEN, {"token"}),
        (canaries.TOKEN.upper(), {"token"}),
        ("SUMMARY:canary\r\n -private", {"private"}),
        ("?x=%63anary%2Dkey", {"key"}),
        ("&#99;anary-draft", {"draft"}),
        (f"{canaries.ATTENDING} booked", {"count"}),
        (f"{canaries.PLACES_LEFT:,} left", {"count"}),
        (f"X-Request-Id: c{canaries.PLACES_LEFT}f4a3b2e1d5", set()),
        (f"0b6c3c5e-52f7-4b86-9d9a-1f6a6f{canaries.PLACES_LEFT}e", set()),
        (f"c{canaries.PLACES_LEFT}f4", {"count"}),
        ("Basic YW55Ym9keTpjYW5hcnktb3BlcmF0b3ItMGhUNXl5YkUzbg==", {"base64"}),
        ("IGNhbmFyeS1vcGVyYXRvcg", {"base64"}),
        ("eGNhbmFyeS1vcGVyYXRvcg", {"base64"}),
    ],
)
def test_the_search_finds_canaries_in_all_encodings(text: str, words: set[str]) -> None:
    assert canaries.leaks(text) == words


def test_every_route_is_requested(make_site: Callable[..., Site]) -> None:
    site = make_site()
    adapter = site.app.url_map.bind("localhost")
    rules = {
        adapter.match(path, return_rule=True)[0].rule
        for path in all_paths(site.app)
        if "?" not in path and path not in ("/nowhere", "/private/")
    }
    assert rules == {rule.rule for rule in site.app.url_map.iter_rules()}


def test_the_samples_have_every_kind_of_path(make_site: Callable[..., Site]) -> None:
    app = make_site(cold=True).app
    pairs = [samples(app, number) for number in range(len(studios.FAULTS))]
    kinds = {*map(kind_of, all_paths(app)[: -len(QUERIES)])}
    for before, after in pairs:
        assert kinds <= {*map(kind_of, before + after)}
        for paths in (before, after):
            assert {path.rpartition(".")[2] for path in paths} >= {"ics", "json", "txt", "atom"}
    for paths in ([path for pair in pairs for path in pair[state]] for state in (0, 1)):
        assert {*paths} == {*all_paths(app)}
