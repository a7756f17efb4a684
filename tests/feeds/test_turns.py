"""Turns: what is new waits for what is new, and never for itself."""

import threading
from collections.abc import Callable
from typing import Any

from bridge.feeds.query import feed_spec
from bridge.feeds.spec import Format, Kind
from bridge.services import Services

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
