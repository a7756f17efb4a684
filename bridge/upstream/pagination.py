"""The walk: every page of one question, complete or failed, never partial."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bridge.clock import Clock
from bridge.config import ListStyle
from bridge.errors import Cause, UpstreamError
from bridge.filters import FilterSet
from bridge.model import ClassSession
from bridge.upstream.budget import Purpose, RequestBudget
from bridge.upstream.client import Client, MissingPageError, Params
from bridge.upstream.deadline import Deadline
from bridge.upstream.parser import Parsed, lacking, parse, row_id, together
from bridge.upstream.sources import Source, questions
from bridge.upstream.thread_pool import ThreadPool

WALK_SECONDS = 120.0
MAX_PAGES = 1_000

_FIELDS, _SPOIL = "fields", "spoil the answer"

_INCONSISTENT = Cause(
    "inconsistent", "TeamUp's pages did not fit together, twice in a row: rows were moving"
)


@dataclass(frozen=True, slots=True)
class Walk:
    """What upstream said, all of it.

    Attributes:
        started: seconds since 1970; the sessions are at least as new.
        sessions: by id, each once.
        unusable: ids of rows that could not be used.
        tally: dropped and repaired rows, by reason.
        pages: how many were read.
    """

    started: float
    sessions: tuple[ClassSession, ...]
    unusable: frozenset[int]
    tally: Mapping[str, int]
    pages: int

    @property
    def day(self) -> Any:
        """The UTC day of the walk, against which relative windows are resolved."""
        return datetime.fromtimestamp(self.started, UTC).date()


@dataclass(frozen=True, slots=True)
class _Read:
    """What a page came to; its rows are let go.

    Attributes:
        count: of the rows of all pages.
        ids: of its own rows; None for each without one that can be used.
    """

    count: int
    ids: Sequence[int | None]
    parsed: Parsed


Heartbeat = Callable[[], None]
"""Called before each request, and every few seconds of waiting to send one."""


class Walker:
    """Walks one source with one client.

    Args:
        now: the time that walks are dated with: seconds since 1970, the same for the whole fleet.
    """

    def __init__(
        self,
        client: Client,
        budget: RequestBudget,
        source: Source,
        clock: Clock,
        *,
        origin: str,
        style: ListStyle = ListStyle.CSV,
        concurrency: int = 4,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._client = client
        self._budget = budget
        self._source = source
        self._clock = clock
        self._origin = origin
        self._style = style
        self._concurrency = concurrency
        self._now = now or clock.now

    @property
    def row_object(self) -> str:
        """What the source calls its rows: part of a session's identity."""
        return self._source.object

    def walk(
        self,
        filter_set: FilterSet,
        *,
        purpose: Purpose = Purpose.LIVE,
        heartbeat: Heartbeat = lambda: None,
    ) -> Walk:
        """All sessions that upstream has for *filter_set*, filtered again here.

        Raises:
            UpstreamError: the walk failed; nothing of it is to be used.
        """
        started = self._now()
        day = datetime.fromtimestamp(started, UTC).date()
        progress = _Progress(heartbeat, Deadline(self._clock, WALK_SECONDS), purpose)
        pages: list[Parsed] = []
        for question in questions(self._source, filter_set, day, self._style):
            pages.extend(self._consistent(question, progress))
        parsed = together(pages)
        # An unknown parameter is ignored upstream without a word, and everything returned.
        kept = tuple(one for one in parsed.sessions if filter_set.matches(one, day))
        # Without its expansions a session cannot tell where it belongs: it is not lost for that.
        vague = {one.id for one in parsed.sessions if not one.complete} - {one.id for one in kept}
        return Walk(started, kept, parsed.unusable | vague, parsed.tally, progress.pages)

    def _consistent(self, question: Params, progress: "_Progress") -> list[Parsed]:
        for _ in range(2):
            pages = self._all_pages(question, progress)
            if pages is not None:
                return pages
        raise UpstreamError(_INCONSISTENT)

    def _all_pages(self, question: Params, progress: "_Progress") -> list[Parsed] | None:
        """All pages in their order, or None where they do not fit together."""
        first = self._first_page(question, progress)
        count, rows = _envelope(first)
        pages = 1
        # Whatever size was asked for, and however often a row is repeated: what a page has counts.
        size = _distinct([row_id(row) for row in rows])
        if first.get("next") is not None and size:
            pages = -(-count // size)
        if pages > MAX_PAGES:
            raise UpstreamError(Cause("too_many", f"TeamUp tells of more than {MAX_PAGES} pages"))
        read: dict[int, _Read | UpstreamError] = {}
        try:
            with self._crew(question, range(2, pages + 1), progress) as crew:
                # Here the time is free: the rest is waited for in any case.
                read[1] = self._read(first)
                for number, page in crew:
                    read[number] = self._read(page)
        except MissingPageError:
            return None
        ids: list[int | None] = []
        parsed: list[Parsed] = []
        for number in range(1, pages + 1):
            one = read[number]
            if isinstance(one, UpstreamError):
                raise one
            if one.count != count:
                return None
            ids.extend(one.ids)
            parsed.append(one.parsed)
        return parsed if _distinct(ids) == count else None

    def _read(self, page: Mapping[str, Any]) -> _Read | UpstreamError:
        """What *page* comes to, or why it cannot be used: that counts once all pages are there."""
        try:
            count, rows = _envelope(page)
        except UpstreamError as err:
            return err
        ids = [row_id(row) for row in rows]
        return _Read(count, ids, parse(rows, self._source, self._origin))

    def _first_page(self, question: Params, progress: "_Progress") -> Mapping[str, Any]:
        """Page 1; where ``fields`` turns out to spoil the answer, asked once more without it."""
        if self._budget.hint(_FIELDS) == _SPOIL:
            return self._page(question, 1, progress, with_fields=False)
        refused: UpstreamError | None = None
        try:
            page = self._page(question, 1, progress, with_fields=True)
        except UpstreamError as err:
            if err.cause.code != "parameter_invalid":
                raise
            refused = err
        else:
            if not lacking(_envelope(page)[1], self._source):
                return page
        page = self._page(question, 1, progress, with_fields=False)
        if refused or not lacking(_envelope(page)[1], self._source):
            self._budget.remember_hint(_FIELDS, _SPOIL)
        return page

    def _crew(
        self, question: Params, numbers: Sequence[int], progress: "_Progress"
    ) -> ThreadPool[Mapping[str, Any]]:
        fields = self._budget.hint(_FIELDS) != _SPOIL
        return ThreadPool(
            lambda number, enough: self._page(question, number, progress, fields, enough),
            numbers,
            hands=self._concurrency,
        )

    def _page(
        self,
        question: Params,
        number: int,
        progress: "_Progress",
        with_fields: bool,
        cancelled: threading.Event | None = None,
    ) -> Mapping[str, Any]:
        params = [*question, ("page", str(number)), ("expand", ",".join(self._source.expand))]
        if with_fields:
            params.append(("fields", ",".join(self._source.fields)))
        page = self._client.page(
            self._source.path,
            params,
            limit=progress.limit,
            purpose=progress.purpose,
            cancelled=cancelled,
            alive=progress.alive,
        )
        progress.step()
        return page


class _Progress:
    """What the pages of one walk share."""

    def __init__(self, heartbeat: Heartbeat, limit: Deadline, purpose: Purpose) -> None:
        self.limit = limit
        self.purpose = purpose
        self._heartbeat = heartbeat
        self._lock = threading.Lock()
        self.pages = 0

    def alive(self) -> None:
        with self._lock:
            self._heartbeat()

    def step(self) -> None:
        with self._lock:
            self.pages += 1


def _distinct(ids: Sequence[int | None]) -> int:
    """How many rows there are: each id counts once, and so does each row without one."""
    return len({one for one in ids if one is not None}) + ids.count(None)


def _envelope(page: Mapping[str, Any]) -> tuple[int, list[object]]:
    count, rows = page.get("count"), page.get("results")
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise UpstreamError(Cause("malformed", "TeamUp's answer has no usable count of its rows"))
    if not isinstance(rows, list):
        raise UpstreamError(Cause("malformed", "TeamUp's answer has no list of rows"))
    return count, list(rows)
