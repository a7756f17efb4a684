"""Turns: what is new waits for what is new, and never for itself; long work lets others in."""

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bridge.feeds.query import feed_spec
from bridge.feeds.spec import Format, Kind
from bridge.services import Services
from bridge.turns import short_turns
from bridge.web import create_app

ENOUGH = 20


def test_a_new_page_of_a_new_feed_does_not_wait_for_who_wants_the_feed_alone(
    make_bridge: Callable[..., Services],
) -> None:
    parts = make_bridge()
    spec = feed_spec(Kind.VENUE, 12, (), parts.defaults)
    lookup = parts.plan.find(spec.filter_set)
    made: list[Any] = []
    in_turn, wanted = threading.Event(), threading.Event()

    def ask(*, on_its_turn: bool) -> None:
        with parts.turns.wait(known=not on_its_turn):
            if on_its_turn:
                in_turn.set()
                wanted.wait(ENOUGH)
            made.append(parts.feeds.made_of(lookup, spec, Format.ICS).body)

    page = threading.Thread(target=ask, kwargs={"on_its_turn": True}, daemon=True)
    alone = threading.Thread(target=ask, kwargs={"on_its_turn": False}, daemon=True)
    page.start()
    in_turn.wait(ENOUGH)
    alone.start()
    # for as long as it takes to come to where it has to wait
    alone.join(0.3)
    wanted.set()
    page.join(ENOUGH)
    alone.join(ENOUGH)
    assert len(made) == 2
    assert made[0] is made[1]


@pytest.fixture
def usual() -> Iterator[float]:
    """The length of a turn while nothing long is at work."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.25)
    yield 0.25
    sys.setswitchinterval(before)


def length() -> float:
    return round(sys.getswitchinterval(), 6)


def test_turns_are_short_until_all_long_work_is_over(usual: float) -> None:
    with short_turns():
        with pytest.raises(ZeroDivisionError), short_turns():
            raise ZeroDivisionError
        assert length() == 0.0005
    assert length() == usual


def test_turns_that_are_shorter_still_stay_so(usual: float) -> None:
    sys.setswitchinterval(0.00025)
    with short_turns():
        assert length() == 0.00025
    assert length() == 0.00025


@pytest.mark.parametrize(
    "work",
    [
        "bridge.upstream.walk.parse",
        "bridge.cache.publication.publish",
        "bridge.cache.shelf.decode",
        "bridge.feeds.ics.render",
        "bridge.feeds.jsonfeed.cut",
        "bridge.cache.plan._join",
        "bridge.web.pages._timetable",
    ],
)
def test_what_takes_long_is_done_in_short_turns_and_nothing_else_is(
    make_bridge: Callable[..., Services],
    monkeypatch: pytest.MonkeyPatch,
    usual: float,
    work: str,
    tmp_path: Any,
) -> None:
    module, name = work.rsplit(".", 1)
    does, lengths = getattr(sys.modules[module], name), []

    def seen(*given: Any, **named: Any) -> Any:
        lengths.append(length())
        return does(*given, **named)

    monkeypatch.setattr(work, seen)
    shared = f"sqlite:///{tmp_path}/bridge.sqlite3"
    for _ in range(2):
        # the second finds what the first has published
        client = create_app(make_bridge(cache_url=shared)).test_client()
        for path in ("/venues/12.ics", "/venues/12.json", "/venues/12", "/courses/51.ics"):
            assert client.get(path).status_code == 200
    assert set(lengths) == {0.0005}
    assert length() == usual
