"""The vendor's API as its reference page tells it, over a list of expanded rows."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlencode, urlsplit
from zoneinfo import ZoneInfo

Params = dict[str, list[str]]

PATH = "/api/v2/course_sessions"

# What stands in place of a part that is not expanded: its id, or the address of a collection.
_REFERENCES = {
    "venue",
    "venue.venue_rooms.venue",
    "course",
    "course.offering_type",
    "course.offering_type.category",
}
_COLLECTIONS = {"venue.venue_rooms", "instructors", "course.offering_type.instructors"}
_SETTINGS = {
    "course.offering_type.appointment_settings",
    "course.offering_type.room_rental_settings",
}
_DEFERRED = {"instructors.availability_schedules", "instructors.icalendar_links"}
_EXPANDABLE = _REFERENCES | _COLLECTIONS | _SETTINGS | _DEFERRED
_LEVELS = 4

_STATUSES = {"active", "cancelled"}
_OCCUPANCIES = {"full", "not_full", "has_registrations", "has_waitlist", "empty"}
_TIMES = {
    "starts_at": "starts_at",
    "start": "starts_at",
    "ends_at": "ends_at",
    "local_starts_at": "starts_at",
}


@dataclass(frozen=True)
class Recorded:
    """A request as it came. The names of its headers are in lower case."""

    method: str
    path: str
    params: Params
    headers: dict[str, str]


@dataclass(frozen=True)
class Response:
    """An answer; a body that is not bytes is sent as JSON."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def payload(self) -> bytes:
        # Escaped throughout, so that a lone surrogate goes out as \ud800.
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class ApiError(Exception):
    """The request is answered with an error of the vendor's form."""

    def __init__(self, status: int, code: str, message: str, /, **fields: list[str]) -> None:
        super().__init__(message)
        self.response = Response(status, error_body(code, message, **fields))


def error_body(code: str, message: str, /, **fields: list[str]) -> dict[str, Any]:
    """The vendor's error body; `fields` are messages by the parameter they are about."""
    return {
        "code": code,
        "message": message,
        "type": "error",
        "field_errors": {**fields, "non_field_errors": []},
    }


class PlainUpstream:
    """A server on loopback that answers `GET /api/v2/course_sessions` from `rows`.

    It is strict where the vendor is known to be, and where leniency would hide a client's
    mistake: a `page_size` over 100, an unknown `sort`, `status` or `expand` are 400. Unknown
    parameters are ignored, as the vendor ignores them. A row whose time or status cannot be
    read passes every filter about it, so that it reaches the client.

    Usable again after `stop`, on the same port. An exception in a hook is answered with 500
    and raised when the `with` block ends.
    """

    def __init__(
        self,
        rows: Iterable[Any] = (),
        *,
        token: str = "t0ken",
        schemes: Sequence[str] = ("Bearer",),
        provider_id: str | None = None,
        request_mode: str | None = None,
        list_style: Literal["csv", "repeat", "both"] = "both",
        default_status: Sequence[str] = ("active",),
        page_cap: int = 100,
        honour_fields: bool = True,
        fields_dots: bool = True,
        before_page: Callable[[int, Params], Response | None] | None = None,
        delay: float = 0.0,
        port: int = 0,
    ) -> None:
        """
        Args:
            rows: sessions, fully expanded; a copy of the list is made, not of its rows.
            schemes: the schemes that `token` is accepted with.
            provider_id: if given, `TeamUp-Provider-ID` must be sent and be this.
            request_mode: if given, `Teamup-Request-Mode` must be sent and be this.
            list_style: which form of a list of ids is understood.
            default_status: the statuses that are sent where none is asked for.
            page_cap: the most rows of a page, whatever `page_size` asks for.
            honour_fields: whether `fields` does anything.
            fields_dots: whether `fields` knows nested names; if not, a row lacks them.
            before_page: called with the page's number and the parameters of each authorised
                request, outside the lock; a response it returns is sent in place of the page.
            delay: seconds before each authorised answer.
        """
        self._rows = list(rows)
        self.lock = threading.RLock()
        self.token = token
        self.schemes = schemes
        self.provider_id = provider_id
        self.request_mode = request_mode
        self.list_style = list_style
        self.default_status = default_status
        self.page_cap = page_cap
        self.honour_fields = honour_fields
        self.fields_dots = fields_dots
        self.before_page = before_page
        self.delay = delay
        self.waitlisted: set[int] = set()
        self.requests: list[Recorded] = []
        self.errors: list[BaseException] = []
        self.in_flight = 0
        self.peak = 0
        self._port = port
        self._stopping = threading.Event()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def rows(self) -> list[Any]:
        """The rows. A page is made under `lock`; hold it for changes of several steps."""
        with self.lock:
            return self._rows

    @rows.setter
    def rows(self, rows: Iterable[Any]) -> None:
        with self.lock:
            self._rows = list(rows)

    @property
    def url(self) -> str:
        """The base address, without a slash at its end."""
        if not self._port:
            raise RuntimeError("not started, so there is no port yet")
        return f"http://127.0.0.1:{self._port}/api/v2"

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def start(self) -> None:
        if self._server is not None:
            raise RuntimeError("already started")
        self._stopping.clear()
        self._server = _Server(("127.0.0.1", self._port), self)
        self._port = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="plain-upstream"
        )
        self._thread.start()

    def stop(self) -> None:
        """Ends at once: connections are cut, and threads have ended when this returns."""
        if self._server is None or self._thread is None:
            return
        self._stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.cut()
        self._server.server_close()
        self._server = self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if error is None and self.errors:
            raise self.errors[0]

    def pages(self) -> list[int]:
        """The numbers of the pages asked for so far, in order of arrival."""
        return [int(request.params.get("page", ["1"])[-1]) for request in list(self.requests)]

    def envelope(self, params: Params) -> dict[str, Any]:
        """The page that these parameters ask for, made anew: a hook may alter it.

        Raises:
            ApiError: for parameters that the vendor refuses, and for a page past the end.
        """
        with self.lock:
            found = self._found(params)
            size = min(_number(params, "page_size", 100, most=100), self.page_cap)
            try:
                page = _number(params, "page", 1)
            except ApiError as error:
                raise ApiError(404, "not_found", "Invalid page.") from error
            last = max(1, -(-len(found) // size))
            if page > last:
                raise ApiError(404, "not_found", "Invalid page.")
            shown = found[(page - 1) * size : page * size]
            return {
                "count": len(found),
                "next": self._link(params, page + 1) if page < last else None,
                "previous": self._link(params, page - 1) if page > 1 else None,
                "results": self._shaped(shown, params),
            }

    def _link(self, params: Params, page: int) -> str:
        return f"{self.url}/course_sessions?{urlencode({**params, 'page': [str(page)]}, True)}"

    def _answer(self, request: Recorded) -> Response:
        try:
            if request.path != PATH:
                raise ApiError(404, "not_found", "Not found.")
            if request.method != "GET":
                raise ApiError(405, "method_not_allowed", "Method not allowed.")
            self._authorise(request.headers)
            if self.delay:
                self._stopping.wait(self.delay)
            if self.before_page is not None:
                number = request.params.get("page", ["1"])[-1]
                page = int(number) if number.isdecimal() else 0
                answer = self.before_page(page, request.params)
                if answer is not None:
                    return answer
            with self.lock:
                # Made bytes of under the lock, as the rows in it are not copies.
                return Response(body=Response(body=self.envelope(request.params)).payload())
        except ApiError as error:
            return error.response

    def _authorise(self, headers: Mapping[str, str]) -> None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme not in self.schemes or token != self.token:
            raise ApiError(401, "authentication_failed", "Incorrect authentication credentials.")
        if self.provider_id is not None:
            provider = headers.get("teamup-provider-id")
            if provider is None:
                raise ApiError(400, "provider_header_missing", "TeamUp-Provider-ID is required.")
            if not provider.isdecimal():
                raise ApiError(400, "provider_header_invalid", "TeamUp-Provider-ID is no id.")
            if provider != self.provider_id:
                raise ApiError(403, "provider_invalid", "No access to this provider.")
        if self.request_mode not in (None, headers.get("teamup-request-mode")):
            raise ApiError(403, "mode_not_allowed", "This mode is not allowed.")

    def _found(self, params: Params) -> list[Any]:
        if _last(params, "format", "json") != "json":
            raise _invalid("format", "Only json is served here.")
        tests = self._tests(params)
        found = [
            row
            for row in self._rows
            if not isinstance(row, dict) or all(test(row) for test in tests)
        ]
        sort = _last(params, "sort", "")
        if sort not in ("", "start", "-start"):
            raise _invalid("sort", f'"{sort}" is not a valid choice.')
        if sort:
            found.sort(key=_sort_key, reverse=sort == "-start")
        return found

    def _tests(self, params: Params) -> list[Callable[[dict[str, Any]], bool]]:
        tests: list[Callable[[dict[str, Any]], bool]] = []
        for name, path in (
            ("venues", "venue"),
            ("course", "course"),
            ("offering_types", "course.offering_type"),
            ("instructors", "instructors"),
        ):
            wanted = self._ids(params, name)
            if wanted:
                tests.append(_id_test(path, wanted))
        statuses = _choices(params, "status", _STATUSES) or set(self.default_status)
        tests.append(lambda row: _status(row) in {None, *statuses})
        kinds = _choices(params, "occupancy_status", _OCCUPANCIES)
        if kinds:
            tests.append(lambda row: bool(self._occupancy(row) & kinds))
        for name, attribute in _TIMES.items():
            for edge in ("gte", "lte"):
                value = _last(params, f"{name}_{edge}", "")
                if value:
                    local = name.startswith("local_")
                    bound = _bound(f"{name}_{edge}", value, local)
                    tests.append(_time_test(attribute, edge, bound, local))
        return tests

    def _ids(self, params: Params, name: str) -> set[int]:
        values = params.get(name, [])
        if name == "instructors" or self.list_style == "csv":
            values = values[-1:]
        if name != "instructors" and self.list_style != "repeat":
            values = [part for value in values for part in value.split(",") if part]
        if not all(re.fullmatch(r"\d+", value) for value in values):
            raise _invalid(name, "A valid integer is required.")
        return {int(value) for value in values}

    def _occupancy(self, row: dict[str, Any]) -> set[str]:
        attending, most = row.get("attending_count"), row.get("max_occupancy")
        attending = attending if isinstance(attending, int) else 0
        full = isinstance(most, int) and 0 < most <= attending
        kinds = {"full" if full else "not_full"}
        kinds.add("has_registrations" if attending > 0 else "empty")
        if row.get("id") in self.waitlisted:
            kinds.add("has_waitlist")
        return kinds

    def _shaped(self, rows: Sequence[Any], params: Params) -> list[Any]:
        expanded = _paths(params, "expand")
        unknown = expanded - _EXPANDABLE
        if unknown or any(path.count(".") >= _LEVELS for path in expanded):
            raise _invalid("expand", f"Cannot expand {', '.join(sorted(unknown))}.")
        # A path expands the parts on its way.
        for path in list(expanded):
            parts = path.split(".")
            expanded |= {".".join(parts[:length]) for length in range(1, len(parts))}
        shaped = [_collapsed(row, "", expanded, self.url) for row in rows]
        fields = _paths(params, "fields")
        if not fields or not self.honour_fields:
            return shaped
        if not self.fields_dots:
            fields = {path for path in fields if "." not in path}
        return [_selected(row, "", fields) for row in shaped]


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that server_close waits for them
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], upstream: PlainUpstream) -> None:
        self.upstream = upstream
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def cut(self) -> None:
        with self._open_lock:
            for connection in self._open:
                with suppress(OSError):  # the client was first
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that went away; what a hook raises is kept by the handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one segment
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        upstream = self.server.upstream
        split = urlsplit(self.path)
        request = Recorded(
            self.command,
            split.path,
            parse_qs(split.query, keep_blank_values=True),
            {name.lower(): value for name, value in self.headers.items()},
        )
        with upstream.lock:
            upstream.requests.append(request)
            upstream.in_flight += 1
            upstream.peak = max(upstream.peak, upstream.in_flight)
        try:
            response = upstream._answer(request)
        except BaseException as error:  # noqa: BLE001 - shown by the test that ends the server
            upstream.errors.append(error)
            response = Response(500, error_body("server_error", "A server error occurred."))
        finally:
            with upstream.lock:
                upstream.in_flight -= 1
        if upstream.stopping:
            self.close_connection = True
        else:
            self._send(response)

    def _send(self, response: Response) -> None:
        body = response.payload()
        self.send_response(response.status)
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **response.headers,
        }
        for name, value in headers.items():
            self.send_header(name, value)
        if self.command in ("POST", "PUT", "PATCH"):  # their body was not read
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


for _method in ("HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
    setattr(_Handler, f"do_{_method}", _Handler.do_GET)


def _invalid(name: str, message: str) -> ApiError:
    return ApiError(400, "parameter_invalid", "Invalid parameters.", **{name: [message]})


def _last(params: Params, name: str, default: str) -> str:
    return params.get(name, [default])[-1]


def _number(params: Params, name: str, default: int, most: int | None = None) -> int:
    text = _last(params, name, str(default))
    number = int(text) if re.fullmatch(r"\d{1,9}", text) else 0
    if number < 1 or (most is not None and number > most):
        raise _invalid(name, f"A number from 1 to {most} is required.")
    return number


def _paths(params: Params, name: str) -> set[str]:
    return {part for value in params.get(name, []) for part in value.split(",") if part}


def _choices(params: Params, name: str, known: set[str]) -> set[str]:
    chosen = _paths(params, name)
    if chosen - known:
        raise _invalid(name, f'"{min(chosen - known)}" is not a valid choice.')
    return chosen


def _bound(name: str, text: str, local: bool) -> datetime:
    """A bound of a window: in UTC, or for local ones the time on the wall."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _invalid(name, "Datetime has wrong format.") from None
    if local:
        return moment.replace(tzinfo=None)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _id_test(path: str, wanted: set[int]) -> Callable[[dict[str, Any]], bool]:
    return lambda row: bool(_ids(row, path) & wanted)


def _time_test(
    attribute: str, edge: str, bound: datetime, local: bool
) -> Callable[[dict[str, Any]], bool]:
    def test(row: dict[str, Any]) -> bool:
        moment = _moment(row, attribute)
        zone = _zone(row)
        if moment is None or (local and zone is None):
            return True
        if local:
            moment = moment.astimezone(zone).replace(tzinfo=None)
        return moment >= bound if edge == "gte" else moment <= bound

    return test


def _zone(row: dict[str, Any]) -> ZoneInfo | None:
    venue = row.get("venue")
    try:
        return ZoneInfo(venue["timezone"]) if isinstance(venue, dict) else None
    except (KeyError, ValueError, TypeError, OSError):
        return None


def _moment(row: dict[str, Any], attribute: str) -> datetime | None:
    """The row's time in UTC, None where it cannot be told."""
    try:
        moment = datetime.fromisoformat(row[attribute])
        if moment.tzinfo is None:
            zone = _zone(row)
            if zone is None:
                return None
            moment = moment.replace(tzinfo=zone)
        return moment.astimezone(UTC)
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def _sort_key(row: Any) -> datetime:
    moment = _moment(row, "starts_at") if isinstance(row, dict) else None
    return moment or datetime.max.replace(tzinfo=UTC)


def _status(row: dict[str, Any]) -> str | None:
    status = row.get("status")
    return status if isinstance(status, str) and status in _STATUSES else None


def _ids(row: Any, path: str) -> set[int]:
    """The ids of what stands at the path, which may be an id, an object or a list of them."""
    for name in path.split("."):
        row = row.get(name) if isinstance(row, dict) else None
    found = (part.get("id") if isinstance(part, dict) else part for part in _listed(row))
    return {id for id in found if isinstance(id, int)}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _collapsed(value: Any, path: str, expanded: set[str], url: str) -> Any:
    """The value as it is sent: what is not expanded is an id or an address."""
    if isinstance(value, list):
        return [_collapsed(part, path, expanded, url) for part in value]
    if not isinstance(value, dict):
        return value
    sent = {}
    for name, part in value.items():
        below = f"{path}.{name}" if path else name
        if below in expanded or below not in _EXPANDABLE - _SETTINGS:
            sent[name] = _collapsed(part, below, expanded, url)
        elif below in _REFERENCES:
            sent[name] = part.get("id") if isinstance(part, dict) else part
        elif below in _COLLECTIONS:
            address = f"{url}/{name}?{value.get('object', 'of')}={value.get('id')}"
            sent[name] = address if isinstance(part, list | dict) else part
    return sent


def _selected(value: Any, path: str, fields: set[str]) -> Any:
    """What `fields` names: a name takes all that is below it."""
    if isinstance(value, list):
        return [_selected(part, path, fields) for part in value]
    if not isinstance(value, dict):
        return value
    sent = {}
    for name, part in value.items():
        below = f"{path}.{name}" if path else name
        if below in fields:
            sent[name] = part
        elif any(chosen.startswith(f"{below}.") for chosen in fields):
            sent[name] = _selected(part, below, fields)
    return sent
