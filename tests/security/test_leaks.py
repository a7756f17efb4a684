"""Whatever upstream does, and whatever is asked for: no secret comes out anywhere."""

from collections.abc import Callable
from typing import Any

import pytest
from faults.scenes import STALE, HurriedClock, eventually, how
from security import canaries, studios
from security.sites import Site, addresses
from upstreams.raw import RawUpstream

from bridge.config import Availability, LogRequests
from bridge.sandbox.faults import KINDS

FEED = "/venues/11.ics"
LOUD: dict[str, Any] = {"log_requests": LogRequests.ALL, "log_format": "json"}


def settled(site: Site) -> None:
    """Ask until the refresh that this begins has ended, one way or the other."""
    eventually(lambda: how(site.ask(FEED)) != "stale")


@pytest.mark.parametrize("told", Availability)
def test_while_all_is_well(site_of: Callable[..., Site], told: Availability) -> None:
    site = site_of(public_availability=told, **LOUD)
    site.sweep()
    for method in ("HEAD", "OPTIONS", "POST"):
        site.sweep(method)
    site.sweep(Accept_Encoding="gzip", Accept_Language="ar", Authorization="Bearer guessed")
    site.sweep(Range="bytes=0-10", If_None_Match="*", Origin="https://studio.example")
    for option in ("none", "full", "spots"):
        for form in ("ics", "json", "txt"):
            site.ask(f"/sessions.{form}?availability={option}&cancelled=keep")
    assert site.leaks() == {}
    assert b"Vinyasa" in site.said[f"GET {FEED} {{}}"]


@pytest.mark.parametrize("fault", studios.FAULTS)
def test_under_every_fault(
    site_of: Callable[..., Site], vendor: RawUpstream, hurried: HurriedClock, fault: str
) -> None:
    regular = site_of(**LOUD)
    regular.ask(FEED)
    vendor.script = studios.FAULTS[fault]
    # by the second walk, what the first lacked is believed
    for _ in range(2):
        hurried.move(STALE)
        settled(regular)
    regular.sweep(Accept_Encoding="gzip")
    newcomer = site_of(cold=True, **{**LOUD, "log_format": "console"})
    newcomer.ask(FEED)
    newcomer.sweep()
    assert {"regular": regular.leaks(), "newcomer": newcomer.leaks()} == {
        "regular": {},
        "newcomer": {},
    }


def test_the_faults_take_in_all_of_the_sandboxs() -> None:
    ours = {
        "status": "status-500", "delay": "silence", "redirect": None, "html": "html",
        "truncate": "short", "invalid_json": "half-json", "empty": "gone",
        "no_visibility": "no-visibility", "unexpanded": "unexpanded", "ignore_filters": "well",
        "duplicate_row": "twice", "hide_every_nth": "public-gone", "foreign_next": None,
    }  # fmt: skip
    assert set(ours) == set(KINDS)
    # those that lead elsewhere are in test_foreign_hosts.py; ids are ignored while all is well
    assert {name for name in ours.values() if name not in (None, "well")} <= set(studios.FAULTS)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("nothing of interest, 71 and 993", set()),
        (canaries.TOKEN, {"token"}),
        (canaries.TOKEN.upper(), {"token"}),
        ("SUMMARY:canary\r\n -private", {"private"}),
        ("?x=%63anary%2Dkey", {"key"}),
        ("&#99;anary-draft", {"draft"}),
        (f"{canaries.ATTENDING} booked", {"count"}),
        (f"{canaries.LEFT:,} left", {"count"}),
        (f"X-Request-Id: c{canaries.LEFT}f4a3b2e1d5", set()),
        (f"0b6c3c5e-52f7-4b86-9d9a-1f6a6f{canaries.LEFT}e", set()),
        (f"c{canaries.LEFT}f4", {"count"}),
        ("Basic YW55Ym9keTpjYW5hcnktb3BlcmF0b3ItMGhUNXl5YkUzbg==", {"base64"}),
        ("IGNhbmFyeS1vcGVyYXRvcg", {"base64"}),
        ("eGNhbmFyeS1vcGVyYXRvcg", {"base64"}),
    ],
)
def test_the_search_finds_what_it_is_there_for(text: str, found: set[str]) -> None:
    assert canaries.leaks(text) == found


def test_every_route_is_asked_for(site_of: Callable[..., Site]) -> None:
    site = site_of()
    adapter = site.app.url_map.bind("localhost")
    reached = {
        adapter.match(path, return_rule=True)[0].rule
        for path in addresses(site.app)
        if "?" not in path and path not in ("/nowhere", "/private/")
    }
    assert reached == {rule.rule for rule in site.app.url_map.iter_rules()}
