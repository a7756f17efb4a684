"""Simulated failures of the sandbox API."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from flask import Response
from werkzeug.datastructures import MultiDict

from bridge.sandbox.api_error import ApiError
from bridge.sandbox.endpoints import ENDPOINTS, ListEndpoint
from bridge.sandbox.list_params import FILTERS, STATUSES
from bridge.sandbox.records import Row

FOREIGN_NEXT = "https://elsewhere.example/api/v2/course_sessions?page=2"
SOURCES = tuple(endpoint.path for endpoint in ENDPOINTS)
"""The lists to which a fault can be limited."""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# kind → whether a value is valid for it
KINDS: Mapping[str, Callable[[Any], bool]] = {
    "status": lambda value: isinstance(value, int) and 400 <= value <= 599,
    "delay": lambda value: _is_number(value) and 0 <= value <= 3600,
    "redirect": lambda value: isinstance(value, str),
    "html": lambda value: value is True,
    "truncate": lambda value: value is True,
    "invalid_json": lambda value: value is True,
    "empty": lambda value: value is True,
    "no_visibility": lambda value: value is True,
    "unexpanded": lambda value: value is True,
    "ignore_filters": lambda value: value is True,
    "duplicate_row": lambda value: value is True,
    "hide_every_nth": lambda value: isinstance(value, int) and value >= 1 and value is not True,
    "foreign_next": lambda value: value is True or isinstance(value, str),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Settings of one fault.

    Attributes:
        value: the HTTP status, the delay in seconds, the URL of a redirect or of ``next``, or the n
            of every nth; True for kinds without a parameter.
        page: the only page that is affected; None for all.
        retry_after: value of ``Retry-After`` with a status, sent unchanged even if invalid.
        times: number of requests after which the fault is removed; None for never.
        source: the only list that is affected, one of SOURCES; None for all.
    """

    value: Any = True
    page: int | None = None
    retry_after: str | None = None
    times: int | None = None
    source: str | None = None


class Faults:
    """The active faults; safe to change while requests are processed.

    For each kind there may be one fault of all lists and one of each list, which takes precedence.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: dict[tuple[str, str | None], Fault] = {}

    def set(
        self,
        kind: str,
        value: Any = True,
        *,
        page: int | None = None,
        retry_after: str | None = None,
        times: int | None = None,
        source: str | None = None,
    ) -> None:
        """Set a fault; replaces an earlier one of its kind and source. See `Fault`.

        Raises ValueError for a kind that is not in KINDS and for an invalid value.
        """
        if kind not in KINDS:
            raise ValueError(f"{kind}: no such fault; there are {', '.join(KINDS)}")
        if not KINDS[kind](value):
            raise ValueError(f"{kind}: {value!r} cannot be used")
        if any(n is not None and (type(n) is not int or n < 1) for n in (page, times)):
            raise ValueError(f"{kind}: page and times are whole numbers of 1 or more")
        if not isinstance(retry_after, str | None):
            raise ValueError(f"{kind}: retry_after is a string")
        if source not in (None, *SOURCES):
            raise ValueError(f"{kind}: source is one of {', '.join(SOURCES)}")
        with self._lock:
            self._active[kind, source] = Fault(value, page, retry_after, times, source)

    def clear(self, kind: str | None = None, *, source: str | None = None) -> None:
        """Remove the faults of one kind, of one source, or all."""
        with self._lock:
            self._active = {
                key: fault
                for key, fault in self._active.items()
                if kind not in (None, key[0]) or source not in (None, key[1])
            }

    def listing(self) -> dict[str, dict[str, Any]]:
        """Return the active faults: kind, or source/kind → the fault's attributes."""
        with self._lock:
            return {
                f"{source}/{kind}" if source else kind: asdict(fault)
                for (kind, source), fault in self._active.items()
            }

    def for_request(self, page: str, endpoint: ListEndpoint) -> "RequestFaults":
        """Return the faults for a request for a page of a list, and count them as used once."""
        matching: dict[str, Fault] = {}
        with self._lock:
            for (kind, source), fault in self._active.items():
                if (
                    source in (None, endpoint.path)
                    and (fault.page is None or str(fault.page) == page)
                    and (source or kind not in matching)
                ):
                    matching[kind] = fault
            for kind, fault in matching.items():
                if fault.times == 1:
                    del self._active[kind, fault.source]
                elif fault.times:
                    self._active[kind, fault.source] = replace(fault, times=fault.times - 1)
        return RequestFaults(matching, endpoint)


@dataclass(frozen=True, slots=True)
class RequestFaults:
    """The faults of one request, applied step by step while it is processed."""

    faults: Mapping[str, Fault]
    endpoint: ListEndpoint

    def replacement(self) -> Response | None:
        """Wait for the delay; return the response that replaces the page, if any."""
        if delay := self.faults.get("delay"):
            time.sleep(delay.value)
        if fault := self.faults.get("status"):
            response = ApiError(fault.value).response()
            if fault.retry_after is not None:
                response.headers["Retry-After"] = fault.retry_after
            return response
        if fault := self.faults.get("redirect"):
            return Response(status=302, headers={"Location": fault.value})
        if "html" in self.faults:
            page = "<!doctype html><title>Maintenance</title><p>We will be back soon.</p>"
            return Response(page, mimetype="text/html")
        return None

    def effective_args(self, args: "MultiDict[str, str]") -> "MultiDict[str, str]":
        """Return *args* without the query parameters to ignore."""
        effective = MultiDict(args)
        if "unexpanded" in self.faults:
            effective.pop("expand", None)
        if "ignore_filters" in self.faults:
            for name in FILTERS:
                effective.poplist(name)
            effective.setlist("status", STATUSES)
        return effective

    def listed_rows(self, rows: list[Row]) -> list[Row]:
        """Return the sessions that are counted and paginated."""
        if "empty" in self.faults:
            return []
        if fault := self.faults.get("hide_every_nth"):
            return [row for n, row in enumerate(rows, start=1) if n % fault.value]
        return rows

    def altered_page(self, page: Row) -> Row:
        """Apply the faults to a serialised page; changes its rows in place."""
        results = page["results"]
        if "no_visibility" in self.faults:
            for row in results:
                self._drop_visibility(row)
        if "duplicate_row" in self.faults:
            page = {**page, "results": [*results, *results[-1:]]}
        if fault := self.faults.get("foreign_next"):
            page = {**page, "next": FOREIGN_NEXT if fault.value is True else fault.value}
        return page

    def make_response(self, page: Row) -> Response:
        """Encode a page as the HTTP response."""
        # Only a lone surrogate cannot be encoded; its escape is the same in Python and in JSON.
        body = json.dumps(page, ensure_ascii=False).encode(errors="backslashreplace")
        if "invalid_json" in self.faults:
            return Response(body[: len(body) // 2], mimetype="application/json")
        response = Response(body, mimetype="application/json")
        if "truncate" in self.faults:
            # Content-Length was set with the full body; assigning the body does not update it.
            response.response = [body[: len(body) // 2]]
        return response

    def _drop_visibility(self, row: Any) -> None:
        for name in self.endpoint.offering_type:
            row = row.get(name) if isinstance(row, dict) else None
        if isinstance(row, dict):
            row.pop("customer_visibility", None)
