"""Simulated failures of the sandbox API."""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flask import Response
from werkzeug.datastructures import MultiDict

from bridge.sandbox.api_error import ApiError
from bridge.sandbox.endpoints import ENDPOINTS, ListEndpoint
from bridge.sandbox.list_params import FILTERS, STATUSES
from bridge.sandbox.records import Row

SOURCES = tuple(endpoint.path for endpoint in ENDPOINTS)
"""The lists to which a fault can be limited."""

KINDS = frozenset(
    {
        "status",
        "delay",
        "redirect",
        "html",
        "truncate",
        "empty",
        "no_visibility",
        "unexpanded",
        "ignore_filters",
    }
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Settings of one fault.

    Attributes:
        value: the HTTP status, the delay in seconds, or the URL of a redirect; True for kinds
            without a parameter.
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

        Raises ValueError for a kind that is not in KINDS, or a source that is not in SOURCES.
        """
        if kind not in KINDS or source not in (None, *SOURCES):
            raise ValueError(f"{kind}: there is no such fault of {source or 'all lists'}")
        with self._lock:
            self._active[kind, source] = Fault(value, page, retry_after, times, source)

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._active.clear()

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
        return [] if "empty" in self.faults else rows

    def alter(self, results: list[Row]) -> list[Row]:
        """Apply the faults to serialised rows, in place."""
        if "no_visibility" in self.faults:
            for row in results:
                self._drop_visibility(row)
        return results

    def make_response(self, page: Row) -> Response:
        """Encode a page as the HTTP response."""
        # Only a lone surrogate cannot be encoded; its escape is the same in Python and in JSON.
        body = json.dumps(page, ensure_ascii=False).encode(errors="backslashreplace")
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
