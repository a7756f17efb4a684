"""CHANGES_URL: one signed message for each publication that changed something in public."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import webhook
from clocks import ManualClock
from structlog.testing import capture_logs
from walking import NOW
from webhook import LONG_ENOUGH, WebHook, wait_for_deliveries

from bridge.ops.change_outbox import ChangeOutbox
from bridge.ops.sender import Sender
from bridge.ops.webhook import Webhook
from bridge.sandbox.demo_timetable import demo_studio
from bridge.sandbox.studio import Studio
from bridge.services import Services
from bridge.store.interface import Write
from bridge.store.keys import Keys
from bridge.upstream.account import Account
from bridge.web import create_app

STALE, HOUR, DAY = 400.0, 3600.0, 86400.0
KEY = "a-key-for-changes"
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"

MakeBridge = Callable[..., Services]


@pytest.fixture
def studio() -> Studio:
    """A studio with ten public classes and one for members only, one a day."""
    studio = demo_studio(NOW.date())
    studio.replace_sessions([])
    for id in range(1, 12):
        studio.add(
            id=id,
            starts_at=NOW + timedelta(days=id),
            course=51 if id < 11 else 56,
            venue=12,
            instructors=[11],
        )
    return studio


@pytest.fixture
def bridge(make_bridge: MakeBridge, hook: WebHook) -> Services:
    """A bridge that has published the timetable once."""
    bridge = make_bridge(changes_url=hook.url, changes_key=KEY)
    publish(bridge)
    send(bridge)
    return bridge


def publish(bridge: Services) -> None:
    """Refresh the timetable, some minutes later."""
    bridge.clock.move(STALE)  # type: ignore[attr-defined]
    for key in bridge.router.widest_keys:
        rules = bridge.router.merge_rules(key)
        assert rules is not None
        flight = bridge.refresher.refresh(key, rules, None)
        assert flight is not None
        assert flight.wait(20)


def send(bridge: Services) -> None:
    """Send what waits and is due."""
    for sender in bridge.senders:
        sender.begin()
    wait_for_deliveries()


def sender_of(bridge: Services, url: str, seconds: float = 0.3) -> Sender[ChangeOutbox]:
    """A sender that waits so long for the receiver."""
    keys = Keys(Account.of(bridge.config).name)
    return Sender(bridge.change_outbox, Webhook(url, seconds=seconds), bridge.store, keys)


def received(hook: WebHook) -> list[Any]:
    """The messages so far."""
    return [hook.next_post().json for _ in range(hook.posts.qsize())]


def kinds(message: Any) -> list[tuple[str, int]]:
    return [(change["kind"], change["session"]["session"]) for change in message["changes"]]


def test_messages_of_several_studios_have_ids_of_their_own(
    make_bridge: MakeBridge, hook: WebHook, studio: Studio
) -> None:
    bridges = [
        make_bridge(changes_url=hook.url, slug=slug, at=ManualClock())
        for slug in ("", "one", "two")
    ]
    for cancelled in (False, True):
        if cancelled:
            studio.cancel(1)
        for bridge in bridges:
            publish(bridge)
            send(bridge)
    messages = received(hook)
    assert [message.pop("studio", "") for message in messages] == ["", "one", "two"]
    assert len({message.pop("id") for message in messages}) == 3
    # So their time and number would not tell them apart.
    assert messages[0] == messages[1] == messages[2]


def test_each_publication_with_changes_is_one_message(
    bridge: Services, hook: WebHook, studio: Studio
) -> None:
    publish(bridge)
    send(bridge)
    assert hook.silent
    studio.cancel(1)
    studio.change(2, instructors=[14])
    publish(bridge)
    at = bridge.clock.now()
    send(bridge)
    post = hook.next_post()
    assert hook.silent
    assert post.headers["content-type"] == "application/json"
    message = post.json
    assert list(message) == ["id", "source", "publication", "at", "changes"]
    assert message["id"] == post.headers["bridge-delivery"]
    assert message["source"] == "course_sessions"
    assert message["publication"] == 1
    assert message["at"] == f"{NOW + timedelta(seconds=2 * STALE + STALE):%Y-%m-%dT%H:%M:%SZ}"
    assert at == NOW.timestamp() + 3 * STALE
    assert kinds(message) == [("cancelled", 1), ("cover", 2)]
    feed = create_app(bridge).test_client().get("/sessions/changes.json").json
    by_id = {change["id"]: change for change in feed}
    assert {change["id"]: change for change in message["changes"]} == by_id
    studio.delete(3)
    studio.change(4, name="Quiet Flow")
    for _ in range(3):
        publish(bridge)
    send(bridge)
    assert [kinds(message) for message in received(hook)] == [[("renamed", 4)], [("gone", 3)]]
    assert bridge.change_outbox.waiting() == 0


def test_what_the_public_may_not_see_is_not_sent(
    bridge: Services, hook: WebHook, studio: Studio
) -> None:
    studio.cancel(11)
    publish(bridge)
    assert bridge.change_outbox.waiting() == 1
    send(bridge)
    assert hook.silent
    assert bridge.change_outbox.waiting() == 0
    studio.change(11, name="A secret")
    studio.change(1, name="Open to all")
    publish(bridge)
    send(bridge)
    [message] = received(hook)
    assert kinds(message) == [("renamed", 1)]
    assert "A secret" not in repr(message)


def test_what_becomes_private_while_it_waits_is_left_out(
    bridge: Services, hook: WebHook, studio: Studio
) -> None:
    studio.change(1, name="Open to all")
    studio.change(2, name="Private Practice")
    publish(bridge)
    studio.change(2, course=56)
    publish(bridge)
    send(bridge)
    messages = received(hook)
    assert kinds(messages[0]) == [("renamed", 1)]
    assert "Private Practice" not in repr(messages)


def test_nothing_of_the_past_is_sent(
    make_bridge: MakeBridge, hook: WebHook, studio: Studio
) -> None:
    before = make_bridge()
    publish(before)
    studio.cancel(1)
    publish(before)
    bridge = make_bridge(changes_url=hook.url, store=before.store)
    send(bridge)
    studio.cancel(2)
    publish(bridge)
    send(bridge)
    assert [kinds(message) for message in received(hook)] == [[("cancelled", 2)]]
    # It is switched off for a while.
    before.change_outbox.forget()
    studio.cancel(3)
    publish(before)
    send(bridge)
    assert hook.silent


def test_the_signature_is_verified_by_the_code_in_the_documentation(
    bridge: Services, hook: WebHook, studio: Studio
) -> None:
    studio.cancel(1)
    publish(bridge)
    send(bridge)
    post = hook.next_post()
    text = OPERATIONS.read_text("utf-8")
    code = re.search(r"```python\n(import hashlib.*?)```", text, re.DOTALL)
    assert code is not None
    documented: dict[str, Any] = {}
    exec(code[1], documented)
    verify = documented["is_from_bridge"]
    signature = post.headers["bridge-signature"]
    assert verify(post.body, signature, KEY)
    assert not verify(post.body + b" ", signature, KEY)
    assert not verify(post.body, signature, "another-key")


def test_without_a_key_there_is_no_signature(
    make_bridge: MakeBridge, hook: WebHook, studio: Studio
) -> None:
    bridge = make_bridge(changes_url=hook.url)
    publish(bridge)
    send(bridge)
    studio.cancel(1)
    publish(bridge)
    send(bridge)
    assert "bridge-signature" not in hook.next_post().headers


@pytest.mark.parametrize("fault", ["down", "500", "hanging", "redirecting"])
def test_an_hour_in_which_the_receiver_fails_loses_nothing(
    bridge: Services, hook: WebHook, studio: Studio, fault: str
) -> None:
    hook.status = {"500": 500, "redirecting": 307}.get(fault, 200)
    hook.headers = {"Location": f"{hook.url}/elsewhere"}
    sender = sender_of(bridge, "http://127.0.0.1:9/hook" if fault == "down" else hook.url)
    if fault == "hanging":
        hook.ready.clear()
    client = create_app(bridge).test_client()
    for id in range(1, 10):
        studio.cancel(id)
        publish(bridge)
        sender.begin()
        assert client.get("/venues/12.ics").status_code == 200
        wait_for_deliveries()
    tries = received(hook)
    assert {kinds(message)[0] for message in tries} <= {("cancelled", 1)}
    assert len(tries) <= 6
    sender.close()
    hook.status = 200
    hook.ready.set()
    bridge.clock.move(HOUR)  # type: ignore[attr-defined]
    recovered = sender_of(bridge, hook.url, LONG_ENOUGH)
    recovered.begin()
    wait_for_deliveries()
    messages = received(hook)
    assert [kinds(message) for message in messages] == [[("cancelled", id)] for id in range(1, 10)]
    assert {message["id"] for message in tries} <= {messages[0]["id"]}
    assert hook.silent
    recovered.close()


def test_the_token_and_the_key_are_not_sent_and_a_redirect_is_not_followed(
    bridge: Services, hook: WebHook, studio: Studio
) -> None:
    with webhook.listening() as elsewhere:
        hook.status, hook.headers = 308, {"Location": elsewhere.url}
        studio.cancel(1)
        publish(bridge)
        send(bridge)
        assert elsewhere.silent
    post = hook.next_post()
    assert "authorization" not in post.headers
    everything = repr(post.headers) + post.body.decode()
    assert bridge.config.token not in everything
    assert KEY not in everything


def test_what_is_not_accepted_in_30_days_is_given_up(
    bridge: Services, hook: WebHook, studio: Studio, clock: ManualClock
) -> None:
    hook.status = 500
    studio.cancel(1)
    publish(bridge)
    send(bridge)
    hook.next_post()
    clock.move(DAY)
    studio.cancel(3)
    publish(bridge)
    hook.status = 200
    clock.move(29 * DAY)
    with capture_logs() as lines:
        send(bridge)
    assert [kinds(message) for message in received(hook)] == [[("cancelled", 3)]]
    assert [line["event"] for line in lines] == ["message given up"]


def test_changes_are_sent_after_their_log_began_anew(
    bridge: Services, hook: WebHook, studio: Studio
) -> None:
    for id in range(1, 4):
        studio.cancel(id)
        publish(bridge)
    send(bridge)
    assert len(received(hook)) == 3
    [name] = [name for name in bridge.store.names("") if ":changes:" in name]
    bridge.store.commit({name: Write(None)})
    studio.cancel(4)
    publish(bridge)
    send(bridge)
    assert [kinds(message) for message in received(hook)] == [[("cancelled", 4)]]


def test_an_alert_tells_that_the_receiver_fails_for_an_hour(
    make_bridge: MakeBridge, hook: WebHook, studio: Studio, clock: ManualClock
) -> None:
    with webhook.listening() as changes:
        changes.status = 500
        bridge = make_bridge(changes_url=changes.url, changes_key=KEY, alert_url=hook.url)
        publish(bridge)
        send(bridge)
        studio.cancel(1)
        publish(bridge)
        for _ in range(3):
            bridge.periodic.run_once()
            wait_for_deliveries()
            clock.move(HOUR / 2)
        bridge.periodic.run_once()
        text = hook.next()[1]["text"]
        assert "CHANGES_URL has not accepted changes for an hour: it answers with 500" in text
        changes.status = 200
        clock.move(HOUR)
        for _ in range(2):
            bridge.periodic.run_once()
            wait_for_deliveries()
        assert "accepts changes again" in hook.next()[1]["text"]
        assert hook.silent
