"""A bridge whose every word is kept: answers, log, store; and every address that it has."""

import gzip
import io
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from flask import Flask
from security import canaries, studios
from werkzeug.test import TestResponse

from bridge.services import Services
from bridge.web import create_app

_ARGUMENT = re.compile(r"<(?:[a-z_]+:)?([a-z_]+)>")
#: Of what is public, and of what is not.
_IDS: Mapping[str, tuple[int, ...]] = {
    "venues": (studios.VENUE, studios.HIDDEN_VENUE),
    "instructors": (studios.PERSON, studios.HIDDEN_PERSON),
    "courses": (studios.COURSE, studios.HIDDEN_COURSE),
    "sessions": (studios.PUBLIC, studios.PRIVATE, studios.DRAFT),
}
_GIVEN: Mapping[str, tuple[str, ...]] = {
    "form": ("ics", "json", "txt"),
    "token": ("1nothing",),
    "version": ("x",),
    "name": ("site.css", "nothing.css"),
    "digits": ("0b5d57", "puce"),
}
#: What the walk for all does not answer.
ASKED_ALONE = (
    "/sessions.ics?starts_at_gte=2020-01-01",
    f"/courses/{studios.COURSE}.ics",
    f"/courses/{studios.HIDDEN_COURSE}.ics",
)
QUERIES = (
    "/sessions.ics?offering_types=305",
    "/sessions.json?venues=16&status=active",
    "/sessions.txt?instructors=112&tz=local",
    "/sessions.ics?availability=full&occupancy_status=not_full",
    "/sessions.json?starts_at_gte=2020-01-01&past=x",
    "/sessions.ics?starts_at_gte=2020-01-01",
    "/sessions.json?start=2026-11-20&end=2026-12-20&timeZone=Europe/London",
    "/sessions?venues=11,16&view=week",
    "/embed/sessions?theme=dark&accent=f5c518&lang=de",
    "/nowhere",
    "/private/",
)


def addresses(app: Flask) -> list[str]:
    """Every route of *app*, filled in; a new argument has to be given a value above."""
    found: list[str] = []
    for rule in app.url_map.iter_rules():
        kind = next((one for one in _IDS if f"/{one}/" in rule.rule), None)
        filled = [rule.rule]
        for argument in _ARGUMENT.findall(rule.rule):
            values = _IDS[kind] if argument == "identity" and kind else _GIVEN[argument]
            filled = [
                re.sub(rf"<(?:[a-z_]+:)?{argument}>", str(value), path)
                for path in filled
                for value in values
            ]
        found.extend(filled)
    return [*dict.fromkeys(found), *QUERIES]


@dataclass
class Site:
    """A bridge in this process, and all that came out of it.

    Attributes:
        log: what was written to standard error.
        said: every answer as bytes, by what was asked.
    """

    parts: Services
    log: io.StringIO
    said: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.app = create_app(self.parts)
        self.client = self.app.test_client()

    def ask(self, path: str, method: str = "GET", **headers: str) -> TestResponse:
        """Ask, and keep the answer; header names are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.client.open(path, method=method, headers=named)
        head = "\n".join(f"{name}: {value}" for name, value in answer.headers)
        zipped = answer.headers.get("Content-Encoding") == "gzip" and answer.data
        body = gzip.decompress(answer.data) if zipped else answer.data
        self.said[f"{method} {path} {named}"] = head.encode() + b"\n\n" + body
        return answer

    def sweep(self, method: str = "GET", **headers: str) -> None:
        """Ask for everything."""
        for path in addresses(self.app):
            self.ask(path, method, **headers)

    def operators(self) -> Iterator[TestResponse]:
        """What only the operator sees."""
        for path in ("/status", "/metrics"):
            yield self.client.get(path, auth=("anybody", canaries.OPERATOR))

    def leaks(self) -> dict[str, set[str]]:
        """What came out that should not have, by where."""
        # the code of an error is told to the operator, who has to look it up
        owners = {"code"}
        out = {asked: canaries.leaks(answer) for asked, answer in self.said.items()}
        out["log"] = canaries.leaks(self.log.getvalue(), but=owners)
        for number, answer in enumerate(self.operators()):
            head = str(answer.headers).encode()
            out[f"operator {number}"] = canaries.leaks(head + answer.data, but=owners)
        out["repr"] = canaries.leaks(repr(self.parts) + repr(self.parts.config))
        store = self.parts.store
        names = store.names("")
        # the timetable is kept whole, the settings and what else upstream said are not
        timetable = {"members", "private", "draft", "untold", "join", "staff", "count"}
        out["store"] = {
            leak
            for name, entry in store.read(names).items()
            for leak in canaries.leaks(name.encode() + _plain(entry.value), but=timetable | owners)
        }
        return {where: found for where, found in out.items() if found}


def _plain(value: bytes) -> bytes:
    try:
        return zlib.decompress(value)
    except zlib.error:
        return value
