"""Sessions that began long before the window of their feed, and are still under way."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from clocks import ManualClock
from upstreams.rows import session_row
from upstreams.stub import StubUpstream

from bridge.config import UpstreamPlan
from bridge.services import Services
from bridge.web import create_app

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize("plan", UpstreamPlan)
def test_a_session_longer_than_a_week_that_began_before_the_window_is_in_the_feed(
    make_bridge: Callable[..., Services], plan: UpstreamPlan
) -> None:
    camp = session_row(1, NOW - 20 * DAY, minutes=24 * 60 * 25, name="Camp")
    course = session_row(2, NOW - 58 * DAY, minutes=24 * 60 * 30, name="Training")
    with StubUpstream([camp, course], token="a-token-of-the-tests") as upstream:
        client = create_app(make_bridge(base_url=upstream.url, plan=plan)).test_client()
        assert "SUMMARY:Camp" in client.get("/sessions.ics?past=0").text
        assert "SUMMARY:Training" in client.get("/sessions.ics").text


def test_a_session_of_three_months_is_never_shown_as_cancelled(
    make_bridge: Callable[..., Services], clock: ManualClock
) -> None:
    rows = [session_row(1, NOW + DAY, minutes=24 * 60 * 90, name="Exhibition")]
    with StubUpstream(rows, token="a-token-of-the-tests") as upstream:
        bridge = make_bridge(base_url=upstream.url)
        client = create_app(bridge).test_client()
        for _ in range(9):
            # After so long a pause the request waits for the walk.
            feed = client.get("/sessions.ics").text
            assert "SUMMARY:Exhibition" in feed
            assert "CANCELLED" not in feed
            clock.move(10 * DAY.total_seconds())
