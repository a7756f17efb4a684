"""Alerts and changes: a receiver gets only those of its own studio, also while others fail."""

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from clocks import wait_until
from several_studios.conftest import SLUGS, Deploy, Deployment, canary
from webhook import WebHook, listening, wait_for_deliveries

from bridge.sandbox.studio import Studio
from bridge.services import Services


@pytest.fixture
def hooks() -> Iterator[dict[str, WebHook]]:
    """A receiver for each studio."""
    with ExitStack() as stack:
        yield {slug: stack.enter_context(listening()) for slug in SLUGS}


def services(bridge: Deployment, slug: str) -> Services:
    return bridge.site(slug).services


def refuse(bridge: Deployment) -> None:
    """Let the upstreams refuse the bridge, and the bridge raise alerts."""
    for slug in SLUGS:
        bridge.faults[slug].set("status", 403)
        assert bridge.get(f"/s/{slug}/venues/12.ics").status_code == 503
    for slug in SLUGS:
        services(bridge, slug).periodic.run_once()


def test_a_receiver_that_hangs_delays_no_other(deploy: Deploy, hooks: dict[str, WebHook]) -> None:
    bridge = deploy({slug: {"alert_url": hook.url} for slug, hook in hooks.items()})
    hooks["riverside"].ready.clear()
    refuse(bridge)
    for slug, hook in hooks.items():
        text = hook.next_post().json["text"]
        assert text.startswith(f"{slug}: TeamUp refuses the bridge")
        assert hook.posts.empty()


def test_a_receiver_of_all_studios_gets_the_alerts_of_each(
    deploy: Deploy, hooks: dict[str, WebHook]
) -> None:
    hook = hooks["riverside"]
    refuse(deploy(ALERT_URL=hook.url))
    texts = {hook.next_post().json["text"].partition(":")[0] for _ in SLUGS}
    assert texts == {*SLUGS}
    assert hook.silent


def test_changes_name_their_studio_and_have_ids_of_their_own(
    deploy: Deploy, hooks: dict[str, WebHook], studios: dict[str, Studio]
) -> None:
    hook = hooks["riverside"]
    receiver = {"changes_url": hook.url, "cache_ttl": 1}
    bridge = deploy({slug: {**receiver, "changes_key": f"key of {slug}"} for slug in SLUGS})
    for slug in SLUGS:
        outbox = services(bridge, slug).change_outbox
        path = f"/s/{slug}/sessions.json?status=active&past=0"
        rows = json.loads(bridge.get(path).data)
        row = next(row for row in reversed(rows) if row["object"] == "event")
        assert outbox.waiting() == 0
        studios[slug].cancel(row["session"], kind="event")
        wait_until(lambda: bridge.get(path) and outbox.waiting())  # noqa: B023
        services(bridge, slug).senders[0].begin()
        wait_for_deliveries()
    messages = [hook.posts.get_nowait().json for _ in range(hook.posts.qsize())]
    assert [message["studio"] for message in messages] == [*SLUGS]
    assert len({message["id"] for message in messages}) == len(SLUGS)
    for message in messages:
        [change] = message["changes"]
        assert canary(message["studio"]) in change["text"]
