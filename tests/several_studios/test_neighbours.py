"""A studio whose upstream hangs, or whose visitors flood it, leaves the others as they are."""

import asyncio
from typing import Any

import pytest
from asgi_client import request_scope
from several_studios.conftest import Deploy, Deployment, canary

from bridge.snapshots.bulkhead import THREADS


class Requests:
    """Requests to one deployment that run at the same time."""

    def __init__(self, bridge: Deployment) -> None:
        self._asgi: Any = bridge.client.asgi

    async def get(self, address: str) -> tuple[int, bytes]:
        """Send one request; the status and the body."""
        scope = request_scope("GET", address, {"Host": "localhost"})
        messages: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            messages.append(message)

        await self._asgi(scope, receive, send)
        return messages[0]["status"], b"".join(message.get("body", b"") for message in messages)


@pytest.fixture
def bridge(deploy: Deploy) -> Deployment:
    return deploy()


def test_a_studio_with_a_hanging_upstream_does_not_delay_another(bridge: Deployment) -> None:
    bridge.faults["riverside"].set("delay", 12)
    requests = Requests(bridge)

    async def scenario() -> None:
        waiting = [
            asyncio.create_task(requests.get(f"/s/riverside/venues/{number}.ics"))
            for number in range(3 * THREADS)
        ]
        await asyncio.sleep(0)
        answered = [await requests.get(f"/s/old-chapel/venues/{n}.ics") for n in (12, 13, 12)]
        assert {status for status, _ in answered} == {200}
        assert canary("old-chapel").encode() in answered[0][1]
        assert any(not task.done() for task in waiting)
        results = await asyncio.gather(*waiting)
        assert {status for status, _ in results} == {503}

    asyncio.run(scenario())


def test_a_flood_of_one_studio_does_not_evict_what_another_needs(deploy: Deploy) -> None:
    bridge = deploy(CACHE_MAX_BYTES="2000000")
    kept = "/s/old-chapel/venues/12.ics"
    assert bridge.get(kept).status_code == 200
    response = bridge.site("old-chapel").responses
    assert response.size > 0
    before = response.size
    for number in range(2):
        for day in range(60):
            bridge.get(f"/s/riverside/venues/12.ics?past=0&future={day}&_={number}")
    assert response.size == before
    assert bridge.site("riverside").responses.size > 0
