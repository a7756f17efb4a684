"""A stand-in for TeamUp's two lists of sessions, written from the vendor's reference alone.

with FakeTeamUp(events=[...], course_sessions=[...]) as teamup:
    teamup.url                  # TEAMUP_BASE_URL
    teamup.events.change(7, name="Slow Flow")
    teamup.events.fault = status(500)
    teamup.requests             # all requests so far

Rows are given with every reference expanded; what a request gets of them depends on its parameters
`expand` and `fields`.
"""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

Row = dict[str, Any]
Path = tuple[str, ...]

BASE_PATH = "/api/v2"
TOKEN = "canary-token-of-the-studio"
PROVIDER = "88123"

_DAYS_FOR_CUSTOMERS = timedelta(days=3)
_EVENTS, _COURSE_SESSIONS = "events", "course_sessions"

# Only an id, or an address, unless they are expanded.
_REFERENCES: Mapping[str, frozenset[Path]] = {
    _EVENTS: frozenset(
        {
            ("venue",),
            ("venue_room",),
            ("instructors",),
            ("offering_type",),
            ("offering_type", "category"),
        }
    ),
    _COURSE_SESSIONS: frozenset(
        {
            ("venue",),
            ("instructors",),
            ("course",),
            ("course", "offering_type"),
            ("course", "offering_type", "category"),
        }
    ),
}
# Absent unless they are expanded.
_DEFERRED = frozenset(
    {
        ("offering_type", "registration_timelines"),
        ("course", "offering_type", "registration_timelines"),
        ("instructors", "icalendar_links"),
        ("instructors", "availability_schedules"),
    }
)


@dataclass(frozen=True)
class Dialect:
    """What the vendor's pages leave open.

    Attributes:
        page_limit: the most classes on a page.
        refuses_larger_pages: whether a larger page is refused with 400, instead of cut.
        strict_fields: whether fields that were not named are absent; otherwise all are sent.
        honours_ids: whether classes can be requested by their ids.
        states_visibility: whether rows that were read without a token state their visibility.
    """

    page_limit: int = 250
    refuses_larger_pages: bool = False
    strict_fields: bool = True
    honours_ids: bool = True
    states_visibility: bool = True


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


class ApiError(Exception):
    """A response with an error body in the vendor's format."""

    def __init__(self, code: int, name: str, **field_errors: list[str]) -> None:
        super().__init__(name)
        self.status = code
        self.body = {
            "code": name,
            "message": "The request could not be answered.",
            "type": "error",
            "field_errors": {**field_errors, "non_field_errors": []},
        }


Fault = Callable[["_Handler"], None]
"""Answers a request instead of the list, or returns: then the list answers."""


def status(code: int, name: str = "server_error") -> Fault:
    """Answers every request with an error."""

    def fault(handler: "_Handler") -> None:
        raise ApiError(code, name)

    return fault


refused: Fault = status(403, "permission_denied")
"""The token lacks the permission for the list."""


def reset(handler: "_Handler") -> None:
    """Resets the connection before anything was sent."""
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.connection.close()
    raise ConnectionResetError


def hang(handler: "_Handler") -> None:
    """Answers nothing until the server is closed."""
    handler.server.closing.wait(60)
    raise ConnectionAbortedError


@dataclass
class TeamUpList:
    """One of the two lists.

    Attributes:
        largest_page: the most rows of a page.
        fault: what happens to each request.
        without_token: whether the list can be read without a token.
        unlisted: ids of rows that are on no page, but found when they are requested by id.
        seconds: how long a page takes.
    """

    name: str
    largest_page: int
    fault: Fault | None = None
    without_token: bool = False
    unlisted: set[int] = field(default_factory=set)
    seconds: float = 0.0
    _rows: dict[int, Row] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    # What was sent is kept until a row changes: a walk of its own for each feed takes many pages.
    _records: dict[tuple[str, int], str] = field(default_factory=dict)

    @property
    def rows(self) -> list[Row]:
        """Copies of the rows; assign to replace them."""
        with self._lock:
            return deepcopy(list(self._rows.values()))

    @rows.setter
    def rows(self, rows: Iterable[Row]) -> None:
        with self._lock:
            self._rows = {row["id"]: deepcopy(row) for row in rows}
            self._records.clear()

    def row(self, identity: int) -> Row:
        """A copy of one row."""
        with self._lock:
            return deepcopy(self._rows[identity])

    def change(self, identity: int, **fields: Any) -> None:
        """Replace fields of one row."""
        with self._lock:
            self._rows[identity] = {**self._rows[identity], **fields}
            self._records.clear()

    def add(self, row: Row) -> None:
        """Add a row, or replace the one with its id."""
        with self._lock:
            self._rows[row["id"]] = deepcopy(row)
            self._records.clear()

    def delete(self, *identities: int) -> list[Row]:
        """Delete rows, and return them."""
        with self._lock:
            self._records.clear()
            return [self._rows.pop(identity) for identity in identities]

    def slip(self, *identities: int) -> None:
        """Leave rows out of all pages, although they exist."""
        with self._lock:
            self.unlisted = set(identities)

    def body(self, request: Request, dialect: Dialect, *, anonymous: bool) -> str:
        """The requested page."""
        with self._lock:
            return self._page(request, dialect, anonymous=anonymous)

    def _page(self, request: Request, dialect: Dialect, *, anonymous: bool) -> str:
        ids = set(map(int, request.values("ids"))) if self._has_ids(dialect) else set()
        rows = [
            row
            for row in self._rows.values()
            if (row["id"] in ids if ids else row["id"] not in self.unlisted)
            and _matches(row, request)
            and (not anonymous or _is_on_public_page(row, request.at))
        ]
        # Without a sort the order says nothing: here the newest ids come first.
        rows.sort(key=lambda row: -row["id"])
        if request.value("sort") in ("start", "-start"):
            rows.sort(
                key=lambda row: (_instant(row["starts_at"]), row["id"]),
                reverse=request.value("sort") == "-start",
            )
        size = self._page_size(request, dialect)
        number, pages = request.page, max(1, -(-len(rows) // size))
        if number > pages:
            raise ApiError(404, "not_found")
        view = _View.of(self.name, request, dialect, anonymous=anonymous)
        shown = (self._record(row, view) for row in rows[(number - 1) * size : number * size])
        # The address in `next` must never be requested: the token would go there.
        elsewhere = f"http://127.0.0.1:9{BASE_PATH}/{self.name}?page="
        head = {
            "count": len(rows),
            "next": f"{elsewhere}{number + 1}" if number < pages else None,
            "previous": f"{elsewhere}{number - 1}" if number > 1 else None,
        }
        return f'{json.dumps(head)[:-1]}, "results": [{", ".join(shown)}]}}'

    def _record(self, row: Row, view: "_View") -> str:
        key = (view.key, row["id"])
        if key not in self._records:
            self._records[key] = json.dumps(view.of_row(row))
        return self._records[key]

    def _has_ids(self, dialect: Dialect) -> bool:
        return dialect.honours_ids and self.name == _EVENTS

    def _page_size(self, request: Request, dialect: Dialect) -> int:
        limit = min(self.largest_page, dialect.page_limit)
        if request.page_size <= limit:
            return request.page_size
        if dialect.refuses_larger_pages:
            text = f"Ensure this value is less than or equal to {limit}."
            raise ApiError(400, "parameter_invalid", page_size=[text])
        return limit


class FakeTeamUp:
    """The API on loopback, with one thread a connection.

    Args:
        events, course_sessions: the rows.
        now: the time, in seconds since 1970; by default the system's.

    Attributes:
        requests: all requests so far, in the order of their arrival.
    """

    def __init__(
        self,
        events: Iterable[Row] = (),
        course_sessions: Iterable[Row] = (),
        *,
        dialect: Dialect = Dialect(),
        now: Callable[[], float] = time.time,
    ) -> None:
        self.dialect = dialect
        self.now = now
        self.events = TeamUpList(_EVENTS, 250, without_token=True)
        self.course_sessions = TeamUpList(_COURSE_SESSIONS, 100)
        self.events.rows = list(events)
        self.course_sessions.rows = list(course_sessions)
        self.requests: list[Request] = []
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self._server.server_port}{BASE_PATH}"

    @property
    def lists(self) -> dict[str, TeamUpList]:
        return {entry.name: entry for entry in (self.events, self.course_sessions)}

    def requests_for(self, name: str, since: int = 0) -> list[Request]:
        """The requests for one list, without the first *since* of all requests."""
        return [request for request in self.requests[since:] if request.list == name]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.close_connections()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, teamup: FakeTeamUp) -> None:
        self.teamup = teamup
        self.closing = threading.Event()
        self._connections: set[socket.socket] = set()
        self._handlers: set[threading.Thread] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
            self._handlers.add(threading.current_thread())
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._connections.discard(request)
                self._handlers.discard(threading.current_thread())

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error of the server's."""

    def close_connections(self) -> None:
        """End all threads."""
        self.closing.set()
        with self._lock:
            connections, handlers = list(self._connections), list(self._handlers)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in handlers:
            thread.join(5)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        teamup = self.server.teamup
        request = Request(
            list=parts.path.removeprefix(f"{BASE_PATH}/"),
            params=parse_qsl(parts.query, keep_blank_values=True),
            headers={name.lower(): value for name, value in self.headers.items()},
            began=time.monotonic(),
            at=teamup.now(),
        )
        teamup.requests.append(request)
        try:
            source = teamup.lists.get(request.list)
            if source is None or not parts.path.startswith(f"{BASE_PATH}/"):
                raise ApiError(404, "not_found")
            if source.seconds:
                self.server.closing.wait(source.seconds)
            if source.fault is not None:
                source.fault(self)
            anonymous = _authenticate(request, source)
            page = source.body(request, teamup.dialect, anonymous=anonymous)
            self._send(200, page.encode())
        except ApiError as error:
            self._send(error.status, json.dumps(error.body).encode())

    def _send(self, code: int, body: bytes) -> None:
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(self.server.teamup.now()))
        head = (
            f"HTTP/1.1 {code} {self.responses[code][0]}\r\nDate: {date}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        # In one piece: a second one would wait for the acknowledgement of the first.
        self.wfile.write(head.encode() + body)

    def log_message(self, format: str, *args: Any) -> None:
        """The requests are in a list."""


def _authenticate(request: Request, source: TeamUpList) -> bool:
    """Whether the request came without a token, and may do so.

    Raises:
        ApiError: it may not.
    """
    provider = request.headers.get("teamup-provider-id")
    authorization = request.headers.get("authorization")
    if authorization is None:
        if provider is None or not source.without_token:
            raise ApiError(401, "authentication_failed")
    else:
        scheme, _, token = authorization.partition(" ")
        if scheme not in ("Bearer", "Token", "JWT") or token != TOKEN:
            raise ApiError(401, "authentication_failed")
    if provider not in (None, PROVIDER):
        raise ApiError(403, "provider_invalid")
    return authorization is None


@lru_cache(maxsize=20_000)
def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    assert moment.tzinfo is not None
    return moment.astimezone(UTC)


def _matches(row: Row, request: Request) -> bool:
    """Whether the row passes the filters that the list knows; all others are ignored."""
    return all(_tests(row, request))


def _tests(row: Row, request: Request) -> Iterator[bool]:
    starts, ends = _instant(row["starts_at"]), _instant(row["ends_at"])
    for name, moment in (("starts_at", starts), ("ends_at", ends)):
        if bound := request.value(f"{name}_gte"):
            yield moment >= _instant(bound)
        if bound := request.value(f"{name}_lte"):
            yield moment <= _instant(bound)
    offering_type = _offering_type(row)
    category = offering_type.get("category") or {}
    venue = row.get("venue") or {}
    course = row.get("course") or {}
    for name, values in (
        ("status", {row["status"]}),
        ("venues", {str(venue.get("id"))}),
        ("offering_types", {str(offering_type["id"])}),
        ("instructors", {str(person["id"]) for person in row["instructors"]}),
        ("occupancy_status", _occupancy(row)),
    ):
        if wanted := request.values(name):
            yield bool(values.intersection(wanted))
    # Either list has one that the other ignores.
    name, identity = (
        ("category", category.get("id")) if row["object"] == "event" else ("course", course["id"])
    )
    if wanted := request.values(name):
        yield str(identity) in wanted


def _offering_type(row: Row) -> Row:
    kind: Row = row["offering_type"] if "offering_type" in row else row["course"]["offering_type"]
    return kind


def _occupancy(row: Row) -> set[str]:
    attending, most = row["attending_count"], row["max_occupancy"]
    states = {
        "full" if most and attending >= most else "not_full",
        "has_registrations" if attending else "empty",
    }
    # Rows of course sessions do not tell, but upstream knows.
    waiting = row.get("waiting_count", row.get("_waiting", 0))
    return states | {"has_waitlist"} if waiting else states


def _is_on_public_page(row: Row, now: float) -> bool:
    """Whether the studio's own page shows the row: it lists about three days of the past."""
    offering_type = _offering_type(row)
    return (
        offering_type.get("customer_visibility", "public") == "public"
        and not offering_type["is_draft"]
        and row.get("is_appointment") in (None, False, "false")
        and _instant(row["ends_at"]) >= datetime.fromtimestamp(now, UTC) - _DAYS_FOR_CUSTOMERS
    )


@dataclass(frozen=True)
class _View:
    """What of a row is sent.

    Attributes:
        key: the same for equal views.
        references: the paths of references that are not expanded.
        expanded: the paths that are.
        fields: the named fields as a tree, in which an empty branch stands for all below it; None
            if all are sent.
        states_visibility: whether the visibility is sent.
    """

    key: str
    references: frozenset[Path]
    expanded: frozenset[Path]
    fields: dict[str, Any] | None
    states_visibility: bool

    @classmethod
    def of(cls, name: str, request: Request, dialect: Dialect, *, anonymous: bool) -> "_View":
        paths = [tuple(text.split(".")) for text in request.values("expand")]
        expanded = frozenset(path[:length] for path in paths for length in range(1, 5))
        named = [tuple(text.split(".")) for text in request.values("fields")]
        tree: dict[str, Any] | None = None
        if named and dialect.strict_fields:
            tree = {}
            # What is expanded is included.
            for path in (*named, *paths):
                branch = tree
                for part in path:
                    branch = branch.setdefault(part, {})
        states_visibility = dialect.states_visibility or not anonymous
        key = repr((sorted(paths), sorted(named), tree is None, states_visibility))
        return cls(key, _REFERENCES[name] - expanded, expanded, tree, states_visibility)

    def of_row(self, row: Row) -> Row:
        shown = {name: value for name, value in row.items() if not name.startswith("_")}
        record: Row = self._record(shown, (), self.fields or None)
        if not self.states_visibility and isinstance(record.get("offering_type"), dict):
            record["offering_type"].pop("customer_visibility", None)
        return record

    def _record(self, value: Any, path: Path, fields: dict[str, Any] | None) -> Any:
        if isinstance(value, list):
            return [self._record(item, path, fields) for item in value]
        if not isinstance(value, dict):
            return value
        record = {}
        for name, item in value.items():
            here = (*path, name)
            if fields is not None and name not in fields:
                continue
            if here in _DEFERRED and here not in self.expanded:
                continue
            if here in self.references:
                record[name] = self._reference(item, value)
            else:
                record[name] = self._record(item, here, (fields or {}).get(name) or None)
        return record

    def _reference(self, item: Any, row: Row) -> Any:
        if isinstance(item, list):
            return f"https://goteamup.com{BASE_PATH}/instructors?{row['object']}={row['id']}"
        return item and item["id"]
