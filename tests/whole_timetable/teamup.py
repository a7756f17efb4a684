"""The sandbox as a test's upstream, with rows that hold what they refer to.

with FakeTeamUp(events=[...], course_sessions=[...]) as teamup:
    teamup.url                  # TEAMUP_BASE_URL
    teamup.events.change(7, name="Slow Flow")
    teamup.events.fault = status(500)
    teamup.requests             # all requests so far
"""

import socket
import struct
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from flask import Flask, has_request_context, request

from bridge.sandbox.api import create_api
from bridge.sandbox.api_error import ApiError
from bridge.sandbox.endpoints import COURSE_SESSIONS, EVENTS, ListEndpoint
from bridge.sandbox.http_server import SandboxServer
from bridge.sandbox.list_params import Dialect
from bridge.sandbox.records import Row
from bridge.sandbox.studio import Studio, Tables

TOKEN = "canary-token-of-the-studio"
PROVIDER = "88123"


@dataclass(frozen=True)
class Request:
    """A request as it arrived.

    Attributes:
        list: the last part of the path.
        params: the query's pairs, in order.
        headers: by name in lower case.
        began: on the machine's monotonic clock, in seconds.
        at: on the clock that the server was given, in seconds since 1970.
    """

    list: str
    params: Sequence[tuple[str, str]]
    headers: Mapping[str, str]
    began: float
    at: float

    def values(self, name: str) -> list[str]:
        """The values of a parameter, whether repeated or separated by commas."""
        return [
            item for key, value in self.params if key == name for item in value.split(",") if item
        ]

    def value(self, name: str, default: str = "") -> str:
        """The only value of a parameter."""
        return next(iter(self.values(name)), default)

    @property
    def page(self) -> int:
        return int(self.value("page", "1"))

    @property
    def page_size(self) -> int:
        return int(self.value("page_size", "100"))


Fault = Callable[[threading.Event], None]
"""Fails the current request; the event is set when the server is closed."""


def status(code: int) -> Fault:
    """Answers every request with an error."""

    def fault(closing: threading.Event) -> None:
        raise ApiError(code)

    return fault


refused = status(403)
"""The token lacks the permission for the list."""


def reset(closing: threading.Event) -> None:
    """Resets the connection before anything was sent."""
    connection = request.environ["werkzeug.socket"]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    raise ConnectionResetError


def hang(closing: threading.Event) -> None:
    """Answers nothing until the server is closed."""
    closing.wait(60)
    raise ConnectionAbortedError


class TeamUpList:
    """One of the two lists.

    Attributes:
        fault: what happens to each request.
        seconds: how long a page takes.
    """

    def __init__(self, studio: Studio, endpoint: ListEndpoint) -> None:
        self.fault: Fault | None = None
        self.seconds = 0.0
        self._studio = studio
        self._kind = endpoint.object

    @property
    def rows(self) -> list[Row]:
        """Copies of the rows; assign to replace them."""
        return deepcopy(self._studio.tables().sessions(self._kind))

    @rows.setter
    def rows(self, rows: Iterable[Row]) -> None:
        self._studio.replace_sessions(rows, kind=self._kind)

    def row(self, identity: int) -> Row:
        """A copy of one row."""
        return deepcopy(self._studio.tables().rows[self._kind][identity])

    def change(self, identity: int, **fields: Any) -> None:
        """Replace fields of one row."""
        self._studio.change(identity, kind=self._kind, **fields)

    def add(self, row: Row) -> None:
        """Add a row, or replace the one with its id."""
        self.rows = [*self.rows, row]

    def delete(self, *identities: int) -> list[Row]:
        """Delete rows, and return them."""
        deleted = [self.row(identity) for identity in identities]
        for identity in identities:
            self._studio.delete(identity, kind=self._kind)
        return deleted


class _Slipping(Studio):
    """A studio of which some classes are on no page, but found when they are requested by id."""

    unlisted: Collection[int] = ()

    def tables(self) -> Tables:
        tables = super().tables()
        if not self.unlisted or not has_request_context() or "ids" in request.args:
            return tables
        listed = {id: row for id, row in tables.rows["event"].items() if id not in self.unlisted}
        return Tables({**tables.rows, "event": listed})


class FakeTeamUp:
    """The API on loopback.

    Args:
        events, course_sessions: the rows.
        now: the time, in seconds since 1970; by default the system's.

    Attributes:
        dialect: how parameters are parsed; may be replaced.
        requests: all requests so far, in the order of their arrival.
        without_token: the lists that can be read without a token.
    """

    def __init__(
        self,
        events: Iterable[Row] = (),
        course_sessions: Iterable[Row] = (),
        *,
        dialect: Dialect | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.now = now
        self.requests: list[Request] = []
        self.without_token = {EVENTS.path}
        self._studio = _Slipping(events=events, sessions=course_sessions)
        self.events = TeamUpList(self._studio, EVENTS)
        self.course_sessions = TeamUpList(self._studio, COURSE_SESSIONS)
        self.lists = {EVENTS.path: self.events, COURSE_SESSIONS.path: self.course_sessions}
        self._closing = threading.Event()
        self._dialect = dialect or Dialect()
        self._server = SandboxServer(self._app())

    @property
    def dialect(self) -> Dialect:
        return self._dialect

    @dialect.setter
    def dialect(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._server.app = self._app()

    @property
    def url(self) -> str:
        """The base URL."""
        return self._server.url

    def requests_for(self, name: str, since: int = 0) -> list[Request]:
        """The requests for one list, without the first *since* of all requests."""
        return [request for request in self.requests[since:] if request.list == name]

    def slip(self, *events: int) -> None:
        """Leave events out of all pages, although they exist."""
        self._studio.unlisted = events

    def _app(self) -> Flask:
        app = create_api(
            self._studio,
            token=TOKEN,
            schemes=("Bearer", "Token", "JWT"),
            requests_per_minute=100_000,
            dialect=self._dialect,
            anonymous=True,
            anonymous_lists=self.without_token,
            now=lambda: datetime.fromtimestamp(self.now(), UTC),
        )
        app.config["PROPAGATE_EXCEPTIONS"] = True
        app.before_request(self._arrive)
        return app

    def _arrive(self) -> None:
        arrived = Request(
            list=request.path.rpartition("/")[2],
            params=list(request.args.items(multi=True)),
            headers={name.lower(): value for name, value in request.headers.items()},
            began=time.monotonic(),
            at=self.now(),
        )
        self.requests.append(arrived)
        source = self.lists[arrived.list]
        self._closing.wait(source.seconds)
        if source.fault is not None:
            source.fault(self._closing)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.set()
        self._server.stop()
