"""Answers as the HTTP cache keeps them: complete, and ready to be given again."""

import math
import re
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bridge.clock import Clock
from bridge.web.negotiation import unmodified

Headers = Sequence[tuple[str, str]]

# What belongs to one connection, or to the one answer that was given first.
_NOT_KEPT = frozenset(
    "age cache-status connection date keep-alive proxy-authenticate proxy-authentication-info"
    " proxy-connection te trailer transfer-encoding upgrade x-request-id".split()
)
# What tells of the content that a 304 does not have (RFC 9110, 15.4.5).
_OF_CONTENT = frozenset(
    "content-disposition content-encoding content-language content-length content-range"
    " content-type".split()
)
# What an answer takes beside its body: its headers, as the lists and texts that they are.
_FRAME = 4_000
# Seconds that two clocks may drift apart within a lifetime.
_APART = 2.0
# Stands in a Cache-Status for the seconds that are left.
_LEFT = "{ttl}"
_DETAIL = re.compile(r';\s*detail="?([^";]*)')


@dataclass(frozen=True, slots=True)
class Said:
    """What an application said before its answer.

    Attributes:
        status: such as ``200 OK``.
        fields: the headers by name in small letters, those of the same name joined by commas.
    """

    status: str
    headers: Headers
    fields: Mapping[str, str]

    @classmethod
    def of(cls, status: str, headers: Headers) -> "Said":
        """What these are."""
        fields: dict[str, str] = {}
        for name, value in headers:
            low = name.lower()
            fields[low] = f"{fields[low]}, {value}" if low in fields else value
        return cls(status, headers, fields)

    @property
    def of_a_304(self) -> Headers:
        """Those of the headers that are said where there is no content."""
        # Who has a tag needs no date (RFC 9110, 15.4.5).
        needless = {"last-modified"} if "etag" in self.fields else set[str]()
        return _without(_OF_CONTENT | needless, self.headers)

    def listed(self, name: str) -> list[str]:
        """The items of a header that is a list of names, in small letters."""
        items = (item.strip().lower() for item in self.fields.get(name, "").split(","))
        return [item for item in items if item]

    def known_to(self, environ: Mapping[str, Any]) -> bool:
        """Whether it is a 200 of something that the client has already."""
        return self.status.startswith("200 ") and unmodified(
            environ, tag=self.fields.get("etag"), modified=self.fields.get("last-modified")
        )


@dataclass(frozen=True)
class Ready:
    """An answer as it is given within one second, to everybody who gets the same.

    Attributes:
        state: what its Cache-Status says; empty: it has none.
        noted: what the application noted in the request's environment.
    """

    status: str
    headers: Headers
    body: bytes
    state: str
    noted: Mapping[str, Any]

    @cached_property
    def head(self) -> bytes:
        """Status line and headers, to which others can be added (RFC 9112, 2.1)."""
        lines = (f"{name}: {value}\r\n" for name, value in self.headers)
        return f"HTTP/1.1 {self.status}\r\n{''.join(lines)}".encode("latin-1")


@dataclass(slots=True)
class Answer:
    """A complete 200, ready to be given again.

    Attributes:
        full, bare: its headers, and those of a 304, but for what changes with its age.
        state: its Cache-Status, but for the seconds that are left; None: it has none.
        over: the age at which its freshness ends, or ended.
        usable: the age up to which it may be given.
        stale: its freshness had ended when it was asked for.
        age: seconds from its making until it was asked for: at *now* and *monotonic*, on the two
            clocks.
        news: what was told of changes before it was asked for.
        due: seconds since it was asked for after which to ask again.
        noted: what the application noted in the request's environment.
        dated: an age in whole seconds, and what is given at that age, whole and as a 304.
    """

    body: bytes
    full: Headers
    bare: Headers
    tag: str | None
    modified: str | None
    state: str | None
    over: int
    usable: float
    stale: bool
    age: int
    now: float
    monotonic: float
    news: Hashable
    noted: Mapping[str, Any]
    due: float = 0.0
    dated: tuple[int, Ready, Ready] | None = field(default=None)

    @classmethod
    def of(cls, said: Said, body: bytes, *, details: Collection[str], **rest: Any) -> "Answer":
        """The answer that *said* and *body* are.

        Args:
            details: the words in the ``detail`` of a Cache-Status that stay true.
        """
        unkept = _NOT_KEPT.union(said.listed("connection"))
        return cls(
            body=body,
            full=_without(unkept, said.headers),
            bare=_without(unkept, said.of_a_304),
            tag=said.fields.get("etag"),
            modified=said.fields.get("last-modified"),
            state=_lasting(said.fields.get("cache-status"), details),
            **rest,
        )

    @property
    def size(self) -> int:
        """Bytes that it takes to keep."""
        return len(self.body) + _FRAME

    def since(self, clock: Clock) -> float:
        """Seconds since it was asked for; endless where the two clocks do not agree on them.

        Then one was set, or the other stood still while the machine slept.
        """
        steady, wall = clock.monotonic() - self.monotonic, clock.now() - self.now
        return steady if abs(wall - steady) < _APART else math.inf

    def is_due(self, since: float, again: float, news: Hashable) -> bool:
        """Whether somebody is to ask again, *since* it was asked for.

        Args:
            news: what is told of changes by now: what is not fresh does not outlast one.
        """
        return since >= self.due + again or (self.stale and news != self.news)

    def put_off(self, since: float, news: Hashable) -> None:
        """Somebody asks again; those that come meanwhile need not."""
        self.due, self.news = since, news

    def ready(self, age: int, environ: Mapping[str, Any]) -> Ready:
        """What is given at *age* to who asked so: it, whole, or 304."""
        dated = self.dated
        if dated is None or dated[0] != age:
            state, moving = "", [("Age", str(age))]
            if self.state is not None:
                state = self.state.replace(_LEFT, str(self.over - age))
                moving.append(("Cache-Status", state))
            self.dated = dated = (
                age,
                Ready("200 OK", (*self.full, *moving), self.body, state, self.noted),
                Ready("304 Not Modified", (*self.bare, *moving), b"", state, self.noted),
            )
        known = unmodified(environ, tag=self.tag, modified=self.modified)
        return dated[2] if known else dated[1]


def _lasting(cache_status: str | None, details: Collection[str]) -> str | None:
    if cache_status is None:
        return None
    state = f"bridge; hit; ttl={_LEFT}" if "; hit" in cache_status else "bridge; fwd=stale"
    found = _DETAIL.search(cache_status)
    words = [word for word in found[1].split(", ") if word in details] if found else []
    if not words:
        return state
    # one word is a token, more are a string
    return (
        f"{state}; detail={words[0]}"
        if len(words) == 1
        else f'{state}; detail="{", ".join(words)}"'
    )


def _without(names: Iterable[str], headers: Headers) -> Headers:
    names = frozenset(names)
    return tuple((name, value) for name, value in headers if name.lower() not in names)
