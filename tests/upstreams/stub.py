"""A server with the sandbox's API, given rows, and a hook before each page."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Response, request

from bridge.sandbox.api import create_api
from bridge.sandbox.faults import Faults
from bridge.sandbox.http_server import SandboxServer
from bridge.sandbox.list_params import Dialect
from bridge.sandbox.studio import Studio
from upstreams.rows import Row
from upstreams.tested_list import replace_rows, rows_of

Hook = Callable[[int], Response | None]


class StubUpstream(SandboxServer):
    """Serves *rows*, fully expanded sessions, in the order of their ids.

    An exception in a hook is answered with 500, and raised when the server stops.

    Args:
        before_page: called with the page's number within Flask's request context; a response that
            it returns is sent instead of the page.
        delay: seconds before each page.
        options: passed to `create_api`.

    Attributes:
        in_flight, peak: the current and the largest number of simultaneous requests.
    """

    def __init__(
        self,
        rows: Iterable[Row] = (),
        *,
        before_page: Hook | None = None,
        delay: float = 0.0,
        **options: Any,
    ) -> None:
        self.studio = Studio()
        replace_rows(self.studio, rows)
        self.faults = Faults()
        self.faults.set("delay", delay)
        self.before_page = before_page
        self.in_flight = self.peak = 0
        self._errors: list[BaseException] = []
        self._counter_lock = threading.Lock()
        super().__init__(self.api(**options))

    def api(self, **options: Any) -> Flask:
        """Create an API of the same sessions, with which `app` may be replaced."""
        # The same number of pages for either list.
        dialect = Dialect(max_page_size=100)
        defaults = {"requests_per_minute": 1_000_000, "faults": self.faults, "dialect": dialect}
        options = {**defaults, **options}
        app = create_api(self.studio, **options)
        app.before_request(self._begin)
        app.teardown_request(self._end)
        return app

    @property
    def rows(self) -> list[Row]:
        """Copies of the sessions; assign to replace them."""
        return rows_of(self.studio)

    @rows.setter
    def rows(self, rows: Iterable[Row]) -> None:
        replace_rows(self.studio, rows)

    def pages(self) -> list[int]:
        """The numbers of the pages requested so far, in order of arrival."""
        return [int(request.args.get("page", ["1"])[-1]) for request in list(self.requests)]

    def stop(self) -> None:
        super().stop()
        if self._errors:
            raise self._errors.pop()

    def _begin(self) -> Response | None:
        with self._counter_lock:
            self.in_flight += 1
            self.peak = max(self.peak, self.in_flight)
        return self.before_page and self.before_page(request.args.get("page", 1, type=int))

    def _end(self, error: BaseException | None) -> None:
        with self._counter_lock:
            self.in_flight -= 1
        if error is not None:
            self._errors.append(error)
