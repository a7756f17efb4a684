"""The HTTP cache: answers that are still good, ready before the application is asked (RFC 9111).

It is a shared cache that goes by the headers of answers and knows nothing of what is in them.
Nothing fresh is served beyond its lifetime: who has older copies, and when they are better than
nothing, is the application's business. Where it gives one, and says that others may, so does the
cache for a moment (RFC 5861). Every now and then the application is asked whether it has something
newer, by one request; those that come meanwhile need not wait.
No request makes the cache ask for what it has: a request's directives are advisory (RFC 9111,
5.2.1) and, ``no-store`` aside, passed over, so that a flood of reloads ends here. It is for
read-only applications: there is nothing to invalidate.
"""

import contextlib
import threading
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.cache.sized import SizedCache
from bridge.clock import Clock
from bridge.web import freshness
from bridge.web.answers import Answer, Headers, Ready, Said
from bridge.web.readiness import CHARGED, NotAtHand

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Address = tuple[str | None, ...]
Varying = Mapping[str, Callable[[str], Hashable]]

# The answer to one may be 304, which cannot be kept: the cache decides on them itself.
_CONDITIONS = frozenset({"HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE"})
_LONGEST_HEADER = 1_000
_MOST_VARIANTS = 32
# Seconds for which what is not fresh is given while the application takes its time to say more: it
# may wait for a newer copy.
_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class _Resource:
    """The answers that there are at one address.

    Attributes:
        varying: the headers that decide among them, as the environment names them.
        frame: bytes that it takes beside the answers.
    """

    varying: tuple[str, ...]
    answers: Mapping[Hashable, Answer]
    frame: int

    @property
    def size(self) -> int:
        return self.frame + sum(one.size for one in self.answers.values())


class Asked:
    """What a request comes to, which is the same for each that says the same.

    Attributes:
        address: what is asked for: the request's URI (RFC 9110, 7.1), in the parts that it comes
            in.
    """

    __slots__ = ("_variants", "address", "environ")

    def __init__(self, environ: "WSGIEnvironment") -> None:
        self.environ = environ
        self.address: Address = (
            environ["wsgi.url_scheme"],
            environ.get("HTTP_HOST"),
            environ.get("SCRIPT_NAME"),
            environ.get("PATH_INFO"),
            environ.get("QUERY_STRING"),
        )
        self._variants: dict[tuple[str, ...], Hashable] = {}

    def variant(self, names: tuple[str, ...], varying: Varying) -> Hashable:
        """Which of an address's answers is asked for; None: the application has to decide.

        Args:
            names: the headers that decide.
            varying: what of a header's value matters.
        """
        if names not in self._variants:
            values = [self.environ.get(name, "") for name in names]
            self._variants[names] = (
                tuple(varying[name](value) for name, value in zip(names, values, strict=True))
                if all(len(value) <= _LONGEST_HEADER for value in values)
                else None
            )
        return self._variants[names]


class Start:
    """Listens to what the application says before its answer."""

    status = ""
    headers: Headers = ()

    def __call__(
        self, status: str, headers: list[tuple[str, str]], exc_info: object = None, /
    ) -> Callable[[bytes], object]:
        self.status, self.headers = status, headers
        return self._write

    def _write(self, data: bytes, /) -> object:
        raise NotImplementedError("an answer is returned, not written")


class HttpCache:
    """Stands in front of an application, and asks it for what is not at hand.

    Args:
        application: one that says its headers before it returns, as Flask does.
        max_bytes: of what is kept.
        again: seconds after which the application is asked again, by one request at a time, even
            for what is still fresh: it may have something newer.
        news: differs from what it was once the application may have something newer, as far as it
            knows by itself: what is not fresh is asked for again at once.
        varying: what of a request header's value matters, by the environment's name of it. An
            answer that varies on another is not kept.
        keep: what the application notes in the environment for those around it.
        details: the words in ``detail`` of a Cache-Status that a kept answer still has to say.
    """

    def __init__(
        self,
        application: "WSGIApplication",
        clock: Clock,
        *,
        max_bytes: int,
        again: float,
        news: Callable[[], Hashable] = lambda: None,
        varying: Varying,
        keep: Sequence[str] = (),
        details: Collection[str] = (),
    ) -> None:
        self._application = application
        self._clock = clock
        self._again = again
        self._news = news
        self._varying = varying
        self._keep = keep
        self._details = details
        self._storing = threading.Lock()
        self._resources: SizedCache[_Resource] = SizedCache(max_bytes, lambda one: one.size)

    @property
    def size(self) -> int:
        """What is kept counts so many."""
        return self._resources.size

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        if method not in ("GET", "HEAD"):
            return self._application(environ, start_response)
        asked = Asked(environ)
        if CHARGED not in environ:
            with contextlib.suppress(NotAtHand):
                ready = self.ready(asked)
                environ.update(ready.noted)
                # whoever gets the headers may change them
                start_response(ready.status, [*ready.headers])
                return [] if method == "HEAD" else [ready.body]
        if method == "HEAD":
            return self._application(environ, start_response)
        return self._fetch(asked, start_response)

    def ready(self, asked: "Asked") -> Ready:
        """The answer that is at hand.

        Args:
            asked: by GET or HEAD.

        Raises:
            NotAtHand: there is none, or somebody has to ask whether there is a newer one; if it is
                who asked now, it is *charged* with it.
        """
        answer = self._kept(asked)
        if answer is None:
            raise NotAtHand
        since = answer.since(self._clock)
        if answer.age + since >= answer.usable:
            raise NotAtHand
        news = self._news() if answer.stale else None
        if answer.is_due(since, self._again, news):
            if asked.environ["REQUEST_METHOD"] == "HEAD":
                raise NotAtHand
            answer.put_off(since, news)
            raise NotAtHand(charged=True)
        return answer.ready(int(answer.age + since), asked.environ)

    def _kept(self, asked: "Asked") -> Answer | None:
        resource = self._resources.get(asked.address)
        if resource is None:
            return None
        return resource.answers.get(asked.variant(resource.varying, self._varying))

    def _fetch(self, asked: "Asked", start_response: "StartResponse") -> Iterable[bytes]:
        environ, before = asked.environ, self._kept(asked)
        news, began = self._news(), self._clock.monotonic()
        whole = {name: value for name, value in environ.items() if name not in _CONDITIONS}
        start = Start()
        chunks = self._application(whole, start)
        noted = {name: whole[name] for name in self._keep if name in whole}
        environ.update(noted)
        said = Said.of(start.status, start.headers)
        times = {"now": self._clock.now(), "monotonic": self._clock.monotonic()}
        # An application that tells the age of an answer tells it as it gives it.
        age = max(freshness.age(said.fields), int(times["monotonic"] - began))
        lifetime = freshness.lifetime(
            said.status, said.fields, authorized="HTTP_AUTHORIZATION" in environ
        )
        stale = age >= lifetime.fresh
        if stale and age >= lifetime.usable:
            if before is not None and before.stale:
                # there is something else to say now
                before.usable = 0.0
        elif "no-store" not in environ.get("HTTP_CACHE_CONTROL", "").lower():
            chunks = [_whole(chunks)]
            if said.fields.get("content-length") == str(len(chunks[0])):
                answer = Answer.of(
                    said,
                    chunks[0],
                    details=self._details,
                    over=lifetime.over if stale else lifetime.fresh,
                    usable=min(lifetime.usable, age + self._again + _PATIENCE)
                    if stale
                    else lifetime.fresh,
                    stale=stale,
                    age=age,
                    news=news,
                    noted=noted,
                    **times,
                )
                self._store(said, asked, answer)
        if said.known_to(environ):
            _close(chunks)
            start_response("304 NOT MODIFIED", [*said.of_a_304])
            return []
        start_response(said.status, [*said.headers])
        return chunks

    def _store(self, said: Said, asked: "Asked", answer: Answer) -> None:
        named = {f"HTTP_{name.upper().replace('-', '_')}" for name in said.listed("vary")}
        if not named.issubset(self._varying):
            return
        varying = tuple(sorted(named))
        variant = asked.variant(varying, self._varying)
        if variant is None:
            return
        address = asked.address
        frame = sum(len(part or "") for part in address)
        with self._storing:
            before = self._resources.get(address)
            answers: dict[Hashable, Answer] = {}
            if before and before.varying == varying and len(before.answers) < _MOST_VARIANTS:
                answers.update(before.answers)
            answers[variant] = answer
            self._resources.put(address, _Resource(varying, answers, frame))


def _whole(chunks: Iterable[bytes]) -> bytes:
    """The body: the very object that the application has, if it is in one piece."""
    try:
        return b"".join([*chunks])
    finally:
        _close(chunks)


def _close(chunks: Iterable[bytes]) -> None:
    close = getattr(chunks, "close", None)
    if close is not None:
        close()
