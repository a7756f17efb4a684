"""A bridge whose responses, log and store are searched for canaries; and all of its paths."""

import gzip
import io
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from flask import Flask
from security import canaries, studios
from thorough import THOROUGH
from werkzeug.test import TestResponse

from bridge.services import Services
from bridge.web import create_app

_ARGUMENT = re.compile(r"<(?:[a-z_]+:)?([a-z_]+)>")
#: Ids of public and of hidden records.
_IDS: Mapping[str, tuple[int, ...]] = {
    "venues": (studios.VENUE, studios.HIDDEN_VENUE),
    "rooms": (studios.ROOM, studios.HIDDEN_ROOM),
    "instructors": (studios.PERSON, studios.HIDDEN_PERSON),
    "courses": (studios.COURSE, studios.HIDDEN_COURSE),
    "types": (studios.TYPE, studios.HIDDEN_TYPE),
    "classes": (studios.CLASS, studios.ONLINE_CLASS, studios.PRIVATE_CLASS, studios.APPOINTMENT),
    "sessions": (studios.PUBLIC, studios.PRIVATE, studios.DRAFT),
}
_ARGUMENT_VALUES: Mapping[str, tuple[str, ...]] = {
    "form": ("ics", "json", "txt"),
    "token": ("1nothing",),
    "version": ("x",),
    "name": ("site.css", "nothing.css"),
    "digits": ("0b5d57", "puce"),
}
#: Paths that the provider-wide walk does not cover.
NARROW_PATHS = (
    "/sessions.ics?starts_at_gte=2020-01-01",
    f"/courses/{studios.COURSE}.ics",
    f"/courses/{studios.HIDDEN_COURSE}.ics",
)
_COLLECTION = re.compile("/(venues|rooms|instructors|courses|types)/")
QUERIES = (
    "/sessions.ics?offering_types=305",
    "/sessions.json?venues=16&status=active",
    "/sessions.txt?instructors=112&tz=local",
    "/sessions.ics?availability=full&occupancy_status=not_full",
    "/sessions.json?sources=events&cancelled=keep",
    "/sessions.txt?rooms=110,160",
    "/sessions.json?category=401,409",
    "/sessions.ics?sources=events&occupancy_status=has_waitlist",
    "/sessions.json?starts_at_gte=2020-01-01&past=x",
    "/sessions.ics?starts_at_gte=2020-01-01",
    "/sessions.json?start=2026-11-20&end=2026-12-20&timeZone=Europe/London",
    "/sessions?venues=11,16&view=week",
    "/embed/sessions?theme=dark&accent=f5c518&lang=de",
    "/nowhere",
    "/private/",
)


def all_paths(app: Flask) -> list[str]:
    """Every route of *app* with values for its arguments; a new argument needs a value above."""
    paths: list[str] = []
    for rule in app.url_map.iter_rules():
        kind = next((kind for kind in _IDS if f"/{kind}/" in rule.rule), None)
        filled = [rule.rule]
        for argument in _ARGUMENT.findall(rule.rule):
            values = _IDS[kind] if argument == "identity" and kind else _ARGUMENT_VALUES[argument]
            if "<change_format:" in rule.rule and argument == "form":
                values = ("atom", "json")
            filled = [
                re.sub(rf"<(?:[a-z_]+:)?{argument}>", str(value), path)
                for path in filled
                for value in values
            ]
        paths.extend(filled)
    return [*dict.fromkeys(paths), *QUERIES]


def kind_of(path: str) -> str:
    """What kind of page or feed this is: the same for all records and collections."""
    return re.sub("[0-9]+", "", _COLLECTION.sub("/*/", path))


def some_paths(app: Flask, number: int) -> list[str]:
    """A sample of `all_paths`; all of them with ``THOROUGH=1``.

    It has every kind of page and feed, and a third of the queries. Different *numbers* give
    different records, public and hidden ones.
    """
    if THOROUGH:
        return all_paths(app)
    kinds: dict[str, list[str]] = {}
    for path in all_paths(app)[: -len(QUERIES)]:
        kinds.setdefault(kind_of(path), []).append(path)
    paths = [alike[number % len(alike)] for alike in kinds.values()]
    return [*dict.fromkeys(paths), *QUERIES[number % 3 :: 3]]


@dataclass
class Site:
    """A bridge in this process, and its output.

    Attributes:
        log: standard error.
        responses: every response as bytes, by request.
    """

    parts: Services
    log: io.StringIO
    responses: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.app = create_app(self.parts)
        self.client = self.app.test_client()

    def request(self, path: str, method: str = "GET", **headers: str) -> TestResponse:
        """Send a request and store the response; header names are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self.client.open(path, method=method, headers=named)
        head = "\n".join(f"{name}: {value}" for name, value in response.headers)
        gzipped = response.headers.get("Content-Encoding") == "gzip" and response.data
        body = gzip.decompress(response.data) if gzipped else response.data
        self.responses[f"{method} {path} {named}"] = head.encode() + b"\n\n" + body
        return response

    def request_all(self, method: str = "GET", **headers: str) -> None:
        """Request all paths."""
        for path in all_paths(self.app):
            self.request(path, method, **headers)

    def operator_pages(self) -> Iterator[TestResponse]:
        """Request the operator's pages."""
        for path in ("/status", "/metrics"):
            yield self.client.get(path, auth=("anybody", canaries.OPERATOR))

    def leaks(self) -> dict[str, set[str]]:
        """Return the leaked canaries, by place of output."""
        # Error codes are reported to the operator, who looks them up.
        operator_words = {"code"}
        out = {request: canaries.leaks(data) for request, data in self.responses.items()}
        out["log"] = canaries.leaks(self.log.getvalue(), but=operator_words)
        for number, response in enumerate(self.operator_pages()):
            head = str(response.headers).encode()
            out[f"operator {number}"] = canaries.leaks(head + response.data, but=operator_words)
        out["repr"] = canaries.leaks(repr(self.parts) + repr(self.parts.config))
        store = self.parts.store
        names = store.names("")
        # The whole timetable is stored; settings and other upstream data are not.
        timetable = {"members", "private", "draft", "unknown", "join", "staff", "count"}
        out["store"] = {
            leak
            for name, entry in store.read(names).items()
            for leak in canaries.leaks(
                name.encode() + _plain(entry.value), but=timetable | operator_words
            )
        }
        return {place: words for place, words in out.items() if words}


def _plain(value: bytes) -> bytes:
    try:
        return zlib.decompress(value)
    except zlib.error:
        return value
