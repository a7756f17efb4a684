"""Faults: what the studio's server can be told to do wrong."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from flask import Response
from werkzeug.datastructures import MultiDict

from bridge.sandbox.api_error import ApiError
from bridge.sandbox.list_params import FILTERS, STATUSES
from bridge.sandbox.records import Row

ELSEWHERE = "https://elsewhere.example/api/v2/course_sessions?page=2"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# kind → whether a value can be used for it
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
    """One fault.

    Attributes:
        value: the status, the seconds of delay, the address of a redirect or of ``next``, the n
            of every nth; True where the kind says it all.
        page: the only page it strikes; None for every one.
        retry_after: sent as ``Retry-After`` with a status, as it is, however odd.
        times: the number of requests after which it ends; None for never.
    """

    value: Any = True
    page: int | None = None
    retry_after: str | None = None
    times: int | None = None


class Faults:
    """The faults that are on, safe to switch while requests are answered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._on: dict[str, Fault] = {}

    def set(
        self,
        kind: str,
        value: Any = True,
        *,
        page: int | None = None,
        retry_after: str | None = None,
        times: int | None = None,
    ) -> None:
        """Switch a fault on, in place of an earlier one of its kind (see Fault).

        ValueError for a kind that is not in KINDS or a value that cannot be used for it.
        """
        if kind not in KINDS:
            raise ValueError(f"{kind}: no such fault; there are {', '.join(KINDS)}")
        if not KINDS[kind](value):
            raise ValueError(f"{kind}: {value!r} cannot be used")
        if any(n is not None and (type(n) is not int or n < 1) for n in (page, times)):
            raise ValueError(f"{kind}: page and times are whole numbers of 1 or more")
        if not isinstance(retry_after, str | None):
            raise ValueError(f"{kind}: retry_after is a string")
        with self._lock:
            self._on[kind] = Fault(value, page, retry_after, times)

    def clear(self, kind: str | None = None) -> None:
        """Switch one kind off, or all."""
        with self._lock:
            if kind is None:
                self._on.clear()
            else:
                self._on.pop(kind, None)

    def listing(self) -> dict[str, dict[str, Any]]:
        """Those that are on: kind → the fault's attributes."""
        with self._lock:
            return {kind: asdict(fault) for kind, fault in self._on.items()}

    def strike(self, page: str) -> "Strike":
        """The faults that strike a request for *page*; those whose times are up end with it."""
        with self._lock:
            struck = {
                kind: fault
                for kind, fault in self._on.items()
                if fault.page is None or str(fault.page) == page
            }
            for kind, fault in struck.items():
                if fault.times == 1:
                    del self._on[kind]
                elif fault.times:
                    self._on[kind] = Fault(
                        fault.value, fault.page, fault.retry_after, fault.times - 1
                    )
        return Strike(struck)


@dataclass(frozen=True, slots=True)
class Strike:
    """The faults of one request, applied step by step as it is answered."""

    faults: Mapping[str, Fault]

    def instead(self) -> Response | None:
        """What is answered in place of a listing, if anything; the delay passes first."""
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

    def arguments(self, args: "MultiDict[str, str]") -> "MultiDict[str, str]":
        """The query parameters that are heeded."""
        heeded = MultiDict(args)
        if "unexpanded" in self.faults:
            heeded.pop("expand", None)
        if "ignore_filters" in self.faults:
            for name in FILTERS:
                heeded.poplist(name)
            heeded.setlist("status", STATUSES)
        return heeded

    def selection(self, rows: list[Row]) -> list[Row]:
        """The sessions that are listed at all: ``count`` and the pages agree on them."""
        if "empty" in self.faults:
            return []
        if fault := self.faults.get("hide_every_nth"):
            return [row for n, row in enumerate(rows, start=1) if n % fault.value]
        return rows

    def envelope(self, envelope: Row) -> Row:
        """One page, as it is sent: the rows are representations, free to be changed."""
        results = envelope["results"]
        if "no_visibility" in self.faults:
            for row in results:
                _drop_visibility(row)
        if "duplicate_row" in self.faults:
            envelope = {**envelope, "results": [*results, *results[-1:]]}
        if fault := self.faults.get("foreign_next"):
            envelope = {**envelope, "next": ELSEWHERE if fault.value is True else fault.value}
        return envelope

    def response(self, envelope: Row) -> Response:
        """The bytes of a page."""
        # Only a lone surrogate cannot be encoded; its escape is the same in Python and in JSON.
        body = json.dumps(envelope, ensure_ascii=False).encode(errors="backslashreplace")
        if "invalid_json" in self.faults:
            return Response(body[: len(body) // 2], mimetype="application/json")
        response = Response(body, mimetype="application/json")
        if "truncate" in self.faults:
            # Assigned alone, the shorter body leaves the header that was computed from the whole.
            response.response = [body[: len(body) // 2]]
        return response


def _drop_visibility(row: Row) -> None:
    course = row.get("course")
    offering_type = course.get("offering_type") if isinstance(course, dict) else None
    if isinstance(offering_type, dict):
        offering_type.pop("customer_visibility", None)
