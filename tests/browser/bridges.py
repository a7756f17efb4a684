"""Bridges over real HTTP, in front of the demo studio as of today."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

from clocks import ManualClock
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from bridge import config, services
from bridge.feeds.private import FeedGrant, new_audience
from bridge.feeds.spec import Kind
from bridge.model import Visibility
from bridge.sandbox.api import create_api
from bridge.sandbox.demo_timetable import demo_studio
from bridge.sandbox.faults import Faults
from bridge.sandbox.http_server import SandboxServer
from bridge.sandbox.studio import Studio
from bridge.services import Services
from bridge.web import create_app

TOKEN = "a-token-of-the-tests"


@dataclass(frozen=True)
class Bridge:
    """A running bridge.

    Attributes:
        clock: stands at 05:00 today, so that some of today's sessions are in the future.
    """

    origin: str
    parts: Services
    upstream: SandboxServer
    studio: Studio
    faults: Faults
    clock: ManualClock

    def url(self, path: str) -> str:
        """The URL of *path*; replaces names in braces by ids of upcoming sessions.

        ``{session}`` and ``{cancelled}`` are course sessions. ``{class}`` and ``{opening}`` are
        ordinary classes; booking of the second one has not opened yet. ``{private}`` is the token
        of a private feed that shows everything.
        """
        if "{" not in path:
            return self.origin + path
        return self.origin + path.format_map(
            {
                "session": self._first("/venues/12.json?sources=course_sessions"),
                "cancelled": self._first("/sessions.json?sources=course_sessions", cancelled=True),
                "class": self._first("/venues/12.json?sources=events"),
                "opening": self._first("/rooms/71.json", opening=True),
                "private": self._private(),
            }
        )

    def _private(self) -> str:
        audience = new_audience(Visibility, counts=True, join_links=True, staff_links=True)
        return self.parts.private.sign(FeedGrant(Kind.SESSION, None, (), audience))

    def _first(self, feed: str, *, cancelled: bool = False, opening: bool = False) -> int:
        """The id of the next session of a feed, in this state."""
        rows = create_app(self.parts).test_client().get(feed).json or []
        now = self.clock.now()
        return next(
            row["session"]
            for row in rows
            if (row["status"] == "cancelled") is cancelled
            and (row["booking_opens"] is not None) is opening
            and datetime.fromisoformat(row["start"]).timestamp() > now
        )


class _QuietHandler(WSGIRequestHandler):
    def log_request(self, *args: Any) -> None:
        pass


def this_morning() -> datetime:
    """05:00 today (UTC): near the time of the browser, whose clock cannot be changed."""
    return datetime.now(UTC).replace(hour=5, minute=0, second=0, microsecond=0)


@contextmanager
def serve(app: Flask) -> Iterator[str]:
    """Serve *app* on loopback until the end of the block; yields the origin."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_QuietHandler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def bridge(**fields: Any) -> Iterator[Bridge]:
    """Run a bridge with the given settings (fields of Config) until the end of the block."""
    fields.setdefault("signing_keys", ("a-key-of-the-tests",))
    with patch.dict(os.environ, {"TEAMUP_API_TOKEN": TOKEN, "CACHE_URL": "memory://"}, clear=True):
        settings = config.load()
    now = this_morning()
    studio = demo_studio(now.date())
    clock = ManualClock(now)
    faults = Faults()
    api = create_api(studio, token=TOKEN, faults=faults, requests_per_minute=100_000)
    with SandboxServer(api) as upstream:
        parts = services.build(replace(settings, base_url=upstream.url, **fields), clock=clock)
        try:
            with serve(create_app(parts)) as origin:
                yield Bridge(origin, parts, upstream, studio, faults, clock)
        finally:
            parts.close()
