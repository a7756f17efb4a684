"""A connection: what is ready is answered where the request is read, and by no other thread."""

import asyncio
import logging
import socket
import string
from typing import Any, ClassVar
from urllib.parse import quote

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from bridge.gateway import GONE, MOST_HEADERS, Gateway, environ
from bridge.web.httpcache import Asked
from bridge.web.readiness import CHARGED, NotAtHand
from bridge.web.traffic import HEADER

# Seconds that a client may take for the head of a request, and from one request to the next. What
# stands in front of servers keeps its connections to them for up to a minute.
_PATIENCE = 75
_LONGEST_HEAD = 64_000
# Nobody here reads what comes after a head, but a request that has some is answered.
_LONGEST_REST = 1_000_000
_LONGEST_KNOWN = 2_000
# Bytes of answers that may wait for a client before it is answered no more: most feeds are smaller.
_UNREAD = 1_000_000
_END = b"\r\n"
# Clients of that version have to ask for it that a connection is kept, and have to be told so
# (RFC 9112, C.2.2).
_OLD = "1.0"
_log = logging.getLogger(__name__)
_OF_A_BODY = frozenset({b"content-length", b"transfer-encoding"})


class Connection(HttpToolsProtocol):
    """One connection, as uvicorn has it; but a request to which an answer was ready is not read
    again when the same bytes come again, from whomever, and is answered at once.

    Clients of calendars ask the same over and over, and many of them in the same words.
    """

    app: Gateway
    # They are made anew once a second.
    _given: ClassVar[tuple[list[tuple[bytes, bytes]], bytes]] = ([], b"")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=_UNREAD)
        of = transport.get_extra_info("socket")
        self._socket = socket.socket(of.family, of.type, of.proto, of.fileno())
        self._in_head = self._just_read = False
        self._read = 0
        self._charged = False
        self._asked: Asked | None = None
        self._unread = 0
        self._answering: RequestResponseCycle | None = None
        self.timeout_keep_alive = _PATIENCE
        self._begin_to_wait()
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Answer, or read on."""
        before = self.cycle
        first = not self._in_head and (
            before is None or (before.response_complete and not before.more_body)
        )
        self._charged, self._asked = False, None
        if first:
            self._begin_to_wait()
            known = self.app.known.get(data)
            if known is not None and self._answer(known, keep=True):
                return
            data = _in_ascii(data)
        self._read += len(data)
        super().data_received(data)
        if first and self._asked is not None and self._is_plain(data):
            self.app.known.put(data, self._asked)
        if self._in_head and self._read > _LONGEST_HEAD:
            self._refuse()
        elif self._read > _LONGEST_REST:
            self.transport.close()
        if not self._is_answering() or self.flow.write_paused:
            self._wait()

    def on_message_begin(self) -> None:
        """The first byte of a request was read."""
        super().on_message_begin()
        self._in_head, self._read = True, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header was read; or what comes after a body, and is none (RFC 9110, 6.5.1)."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head of a request was read."""
        if not self._names_one_host():
            raise ValueError("a request names one Host (RFC 9112, 3.2)")
        self._just_read = True
        super().on_headers_complete()
        self._just_read = self._in_head = False

    def on_response_complete(self) -> None:
        """A request was answered."""
        super().on_response_complete()
        self._begin_to_wait()
        if not self._is_answering():
            self._wait()

    def pause_writing(self) -> None:
        """A client does not read as fast as it is answered."""
        super().pause_writing()
        self._begin_to_wait()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is answered that nobody waits for it."""
        super().connection_lost(exc)
        self._socket.detach()
        self._unset_keepalive_if_required()
        if self._answering is not None:
            self._answering.disconnected = True
            self._answering.scope["state"][GONE] = True
            self._answering.message_event.set()

    def shutdown(self) -> None:
        """End, as soon as what was asked for is answered."""
        # If the loop ends before, it closes the descriptor, and nobody is told. What has the same
        # number then is another's.
        self._socket.detach()
        super().shutdown()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self.transport.is_closing():
            return
        if (
            self._just_read
            and cycle.scope["http_version"] == _OLD
            and self.parser.should_keep_alive()
        ):
            cycle.keep_alive = True
            cycle.default_headers = [*cycle.default_headers, (b"connection", b"keep-alive")]
        # What had to wait for its turn can wait for a thread: many such would answer each other.
        at_once = self._just_read and not self._charged
        asked = self._asked_in(cycle.scope) if at_once else None
        if asked is not None and self._answer(asked, keep=cycle.keep_alive):
            self._asked = asked
            cycle.response_started = cycle.response_complete = True
            cycle.more_body = False
            self.on_response_complete()
            return
        if self._charged:
            cycle.scope["state"][CHARGED], self._charged = True, False
        # Of several requests that came at once it is not the last, which is all that uvicorn keeps.
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def _asked_in(self, scope: Any) -> Asked | None:
        """What a request comes to; None: it has a body, or is none for the lane."""
        headers = scope["headers"]
        if self.app.lane is None or len(headers) > MOST_HEADERS:
            return None
        if any(name in _OF_A_BODY for name, _ in headers):
            return None
        try:
            return self.app.lane.asked(environ(scope))
        except Exception:  # noqa: BLE001 - told, and left to a thread
            _log.exception("The lane failed at a request; a thread is asked instead")
            return None

    def _names_one_host(self) -> bool:
        named = [name for name, _ in self.headers].count(b"host")
        return named == 1 or (named == 0 and self.parser.get_http_version() == _OLD)

    def _unsupported_upgrade_warning(self) -> None:
        """Go on as before (RFC 9110, 7.8): some clients offer HTTP/2 in every request."""

    def timeout_keep_alive_handler(self) -> None:
        """End what is not used, unless it was in use since this was planned."""
        self.timeout_keep_alive_task = None
        if self._is_answering() and not self.flow.write_paused:
            return
        if self._since + _PATIENCE > self.loop.time():
            self._wait()
            return
        unread = self.transport.get_write_buffer_size()
        if not unread:
            self.transport.close()
        elif unread == self._unread:
            # an orderly end would wait for the client to read on
            self.transport.abort()
        else:
            self._unread = unread
            self._begin_to_wait()
            self._wait()

    def _is_answering(self) -> bool:
        return self._answering is not None and not self._answering.response_complete

    def _begin_to_wait(self) -> None:
        self._since = self.loop.time()

    def _wait(self) -> None:
        # also for one that is closing: it does so once the client has read what there is for it
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_at(
                self._since + _PATIENCE, self.timeout_keep_alive_handler
            )

    def _is_plain(self, data: bytes) -> bool:
        """Whether *data*, which was read just now, is one whole request and leaves the connection
        as it was.
        """
        return (
            len(data) <= _LONGEST_KNOWN
            and data.find(_END + _END) == len(data) - len(_END + _END)
            and self.cycle.keep_alive
            and not self.expect_100_continue
            and not self.parser.should_upgrade()
        )

    def _answer(self, asked: Asked, *, keep: bool) -> bool:
        """Answer, if it can be done without waiting; whether it was.

        Args:
            keep: the connection, for another request.
        """
        if self.app.lane is None or self.flow.write_paused:
            return False
        try:
            ready, identity = self.app.lane.answer(asked)
        except NotAtHand as err:
            self._charged = err.charged
            return False
        except Exception:  # noqa: BLE001 - told, and left to a thread
            # Uvicorn would take it for a fault of the request.
            _log.exception("The lane failed at an answer; a thread is asked instead")
            return False
        if not keep:
            last = "Connection: close\r\n"
        elif asked.environ["SERVER_PROTOCOL"] == f"HTTP/{_OLD}":
            last = "Connection: keep-alive\r\n"
        else:
            last = ""
        added = f"{HEADER}: {identity}\r\n{last}\r\n".encode("latin-1")
        head = b"".join((ready.head, self._server_headers(), added))
        if ready.body and asked.environ["REQUEST_METHOD"] != "HEAD":
            self._write(head, ready.body)
        else:
            self.transport.write(head)
        self.server_state.total_requests += 1
        if not keep:
            self.transport.close()
        return True

    def _write(self, head: bytes, body: bytes) -> None:
        sent = 0
        if not self.transport.get_write_buffer_size():
            sent = self.app.bodies.send(self._socket, head, body)
        if sent < len(head):
            self.transport.writelines((head[sent:], body))
        elif sent < len(head) + len(body):
            self.transport.write(memoryview(body)[sent - len(head) :])

    def _server_headers(self) -> bytes:
        """The headers that the server gives to every answer, such as its Date."""
        headers, lines = Connection._given
        if headers is not self.server_state.default_headers:
            headers = self.server_state.default_headers
            lines = b"".join(b"%b: %b\r\n" % one for one in headers)
            Connection._given = (headers, lines)
        return lines

    def _refuse(self) -> None:
        self.transport.write(STATUS_LINE[431] + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()


def _in_ascii(data: bytes) -> bytes:
    """*data* with an address as it has to be (RFC 3986, 2.1): curl sends it as it was typed."""
    if data.isascii():
        return data
    line, end, rest = data.partition(_END)
    return quote(line, safe=string.punctuation + " ").encode() + end + rest
