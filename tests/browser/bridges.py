"""Bridges over real HTTP, in front of the sandbox studio as it is today."""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

from clocks import ManualClock
from werkzeug.serving import WSGIRequestHandler, make_server

from bridge import config, services
from bridge.sandbox.api import create_api
from bridge.sandbox.demo_timetable import believable_studio
from bridge.sandbox.http_server import SandboxServer
from bridge.sandbox.studio import Studio
from bridge.services import Services
from bridge.web import create_app

TOKEN = "a-token-of-the-tests"


@dataclass(frozen=True)
class Bridge:
    """A bridge that runs.

    Attributes:
        clock: stands at this morning, so that there always is a today.
    """

    origin: str
    parts: Services
    upstream: SandboxServer
    studio: Studio
    clock: ManualClock

    def url(self, path: str) -> str:
        """Where *path* is, with ``{session}`` and ``{cancelled}`` put in."""
        session, cancelled = self._sessions()
        return self.origin + path.format(session=session, cancelled=cancelled)

    def _sessions(self) -> tuple[int, int]:
        """The next public session at venue 12, and the next cancelled one anywhere."""
        now = self.clock.now()
        client = create_app(self.parts).test_client()

        def first(path: str, *, cancelled: bool) -> int:
            rows = client.get(path).json or []
            row = next(
                row
                for row in rows
                if (row["status"] == "cancelled") is cancelled
                and datetime.fromisoformat(row["start"]).timestamp() > now
            )
            return int(re.findall(r"[0-9]+", row["url"])[-1])

        return (
            first("/venues/12.json", cancelled=False),
            first("/sessions.json", cancelled=True),
        )


class _Quiet(WSGIRequestHandler):
    def log_request(self, *args: Any) -> None:
        pass


def this_morning() -> datetime:
    """Five o'clock today: the browser's own clock cannot be moved."""
    return datetime.now(UTC).replace(hour=5, minute=0, second=0, microsecond=0)


@contextmanager
def bridge(**fields: Any) -> Iterator[Bridge]:
    """A bridge with these settings, by field name."""
    with patch.dict(os.environ, {"TEAMUP_API_TOKEN": TOKEN, "CACHE_URL": "memory://"}, clear=True):
        settings = config.load()
    now = this_morning()
    studio = believable_studio(now.date())
    clock = ManualClock(now)
    with SandboxServer(create_api(studio, token=TOKEN, requests_per_minute=100_000)) as upstream:
        parts = services.build(replace(settings, base_url=upstream.url, **fields), clock=clock)
        server = make_server(
            "127.0.0.1", 0, create_app(parts), threaded=True, request_handler=_Quiet
        )
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            origin = f"http://127.0.0.1:{server.server_port}"
            yield Bridge(origin, parts, upstream, studio, clock)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
            parts.close()
