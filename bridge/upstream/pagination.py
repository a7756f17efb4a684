"""Walks: reading all pages of a filter set from upstream. A walk is complete, or it fails."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from bridge.clock import Clock
from bridge.config import ListStyle
from bridge.errors import Cause, ProblemArea, UpstreamError
from bridge.filters import FilterSet
from bridge.model import ClassSession
from bridge.upstream.budget import Purpose, RequestBudget
from bridge.upstream.client import Client, MissingPageError, Params, RequestContext
from bridge.upstream.deadline import Deadline
from bridge.upstream.missing_ends import with_usual_ends
from bridge.upstream.parser import (
    Parsed,
    combine,
    missing_fields,
    parse,
    row_id,
)
from bridge.upstream.sources import SMALL_PAGE, Source, id_params, walk_params
from bridge.upstream.thread_pool import run_each

WALK_SECONDS = 120.0
MAX_PAGES = 1_000

# The hint that upstream does not support the parameter ``fields``, or which fields rows lack
# without it, too. The odd words are kept, because released versions store them.
_FIELDS_HINT, _FIELDS_UNSUPPORTED, _FIELDS_MISSING = "fields", "spoil the answer", "missing: "
# the hint that upstream does not return pages of the vendor's largest size; the value is a number
_SIZE_HINT = "page size"

_MOST_BAD_ROWS = 5

_INCONSISTENT = Cause(
    "inconsistent", "TeamUp's pages were inconsistent, twice in a row: rows were moving"
)


@dataclass(frozen=True, slots=True)
class Walk:
    """The result of a complete walk.

    Attributes:
        started: seconds since 1970; the sessions are at least as new.
        sessions: the sessions, without duplicates.
        unusable: the ids of rows that could not be used.
        tally: the number of dropped and repaired rows, by reason.
        pages: the number of pages that were read.
        excluded: the ids that upstream lists, but outside of the timetable: private appointments,
            and those of ``elsewhere``.
        elsewhere: sessions that were looked up and no longer match the filter set.
        deleted: the ids that upstream does not know any more, according to a look-up.
        without_end: the ids of sessions whose end upstream does not state: it is estimated from
            the other sessions of the walk.
        defect: why no row can be used, of more than a few; None if some can.
    """

    started: float
    sessions: tuple[ClassSession, ...]
    unusable: frozenset[int]
    tally: Mapping[str, int]
    pages: int
    excluded: frozenset[int] = frozenset()
    elsewhere: tuple[ClassSession, ...] = ()
    deleted: frozenset[int] = frozenset()
    without_end: frozenset[int] = frozenset()
    defect: Cause | None = None

    @property
    def day(self) -> date:
        """The UTC day of the walk, against which relative windows are resolved."""
        return datetime.fromtimestamp(self.started, UTC).date()


@dataclass(frozen=True, slots=True)
class _ParsedPage:
    """A page after parsing; the rows themselves are not kept.

    Attributes:
        count: the number of rows on all pages, as stated on this page.
        ids: the ids of the page's rows; None for a row without a usable id.
        parsed: the page's sessions.
    """

    count: int
    ids: Sequence[int | None]
    parsed: Parsed


class _PageForm(NamedTuple):
    """How pages are requested.

    Attributes:
        size: rows on a page.
        with_fields: whether the parameter ``fields`` is sent.
    """

    size: int
    with_fields: bool


@dataclass(frozen=True, slots=True)
class WalkLimits:
    """The most that one walk may read.

    Attributes:
        rows: rows that upstream may count.
        bytes: bytes of all pages, decompressed.
    """

    rows: int = 100_000
    bytes: int = 256 * 1024 * 1024


Heartbeat = Callable[[], None]
"""Called before each request, and every few seconds of waiting to send one, in any thread."""


class Walker:
    """Reads all pages of a source with one client.

    Args:
        style: how a parameter with several values is sent.
        concurrency: how many pages are requested at the same time.
        limits: the most that one walk may read.
        now: the time with which walks are dated: seconds since 1970, the same for the whole fleet.
    """

    def __init__(
        self,
        client: Client,
        budget: RequestBudget,
        source: Source,
        clock: Clock,
        *,
        style: ListStyle = ListStyle.CSV,
        concurrency: int = 4,
        limits: WalkLimits = WalkLimits(),
        now: Callable[[], float] | None = None,
    ) -> None:
        self._client = client
        self._budget = budget
        self._source = source
        self._clock = clock
        self._origin = client.account.origin
        self._anonymous = client.account.anonymous
        self._style = style
        self._concurrency = concurrency
        self._limits = limits
        self._now = now or clock.now

    def walk(
        self,
        filter_set: FilterSet,
        *,
        purpose: Purpose = Purpose.LIVE,
        heartbeat: Heartbeat = lambda: None,
    ) -> Walk:
        """Read all sessions of *filter_set* from upstream, and apply the filters again.

        Raises:
            UpstreamError: the walk failed; there is no partial result.
        """
        started = self._now()
        day = datetime.fromtimestamp(started, UTC).date()
        state = _WalkState(heartbeat, Deadline(self._clock, WALK_SECONDS), purpose, self._limits)
        pages: list[Parsed] = []
        for params in walk_params(self._source, filter_set, day, self._style):
            pages.extend(self._consistent_pages(params, state))
        parsed = combine(pages)
        everything = _drop_past_booking_opens(with_usual_ends(parsed.sessions), started)
        # Upstream silently ignores unknown parameters and then returns unfiltered rows.
        sessions = tuple(session for session in everything if filter_set.may_match(session, day))
        # An incomplete session may fail a filter for lack of data: it counts as unusable, not as
        # missing.
        incomplete = {session.id for session in everything if not session.complete}
        unusable = parsed.unusable | (incomplete - {session.id for session in sessions})
        return Walk(
            started,
            sessions,
            unusable,
            parsed.tally,
            state.pages,
            parsed.excluded,
            without_end=_without_end(parsed),
            defect=_defect(parsed),
        )

    @property
    def can_fetch_by_ids(self) -> bool:
        """Whether upstream has a parameter for ids."""
        return self._source.by_ids

    def fetch_by_ids(
        self,
        walk: Walk,
        filter_set: FilterSet,
        ids: frozenset[int],
        *,
        purpose: Purpose = Purpose.LIVE,
        heartbeat: Heartbeat = lambda: None,
    ) -> Walk:
        """*walk*, completed by what upstream knows of sessions that it lacks.

        One session of the walk is requested as well: without it in the response, the response
        proves nothing.

        Args:
            ids: of the sessions.

        Raises:
            UpstreamError: a request failed.
        """
        if not walk.sessions:
            return walk
        known = walk.sessions[-1].id
        state = _WalkState(heartbeat, Deadline(self._clock, WALK_SECONDS), purpose, self._limits)
        most = self._page_form().size - 1
        parts: list[Parsed] = []
        listed: set[int | None] = set()
        for batch in _batches(sorted(ids), most):
            page, _ = self._first_page(id_params({*batch, known}, self._style), state)
            count, rows = _envelope(page)
            found = {row_id(row) for row in rows}
            whole = count == len(found) and page.get("next") is None
            if not whole or known not in found or not found <= {*batch, known}:
                # Upstream ignores the parameter, or interprets it differently.
                return walk
            listed |= found
            rows = [row for row in rows if row_id(row) != known]
            parts.append(parse(rows, self._source, self._origin, anonymous=self._anonymous))
        parsed = combine(parts)
        sessions = _drop_past_booking_opens(with_usual_ends(parsed.sessions), walk.started)
        matching = tuple(session for session in sessions if filter_set.may_match(session, walk.day))
        incomplete = {session.id for session in sessions if not session.complete}
        elsewhere = tuple(
            session for session in sessions if session.complete and session not in matching
        )
        return replace(
            walk,
            sessions=(*walk.sessions, *matching),
            unusable=walk.unusable | parsed.unusable | incomplete,
            excluded=walk.excluded | parsed.excluded | {session.id for session in elsewhere},
            elsewhere=elsewhere,
            deleted=ids - listed,
            without_end=walk.without_end | _without_end(parsed),
            pages=walk.pages + state.pages,
        )

    def _consistent_pages(self, params: Params, state: "_WalkState") -> list[Parsed]:
        for _ in range(2):
            pages = self._all_pages(params, state)
            if pages is not None:
                return pages
        raise UpstreamError(_INCONSISTENT)

    def _all_pages(self, params: Params, state: "_WalkState") -> list[Parsed] | None:
        """All pages in their order, or None if they are inconsistent."""
        first, form = self._first_page(params, state)
        count, rows = _envelope(first)
        pages = 1
        # The actual page size: upstream may ignore the requested one, or repeat rows.
        size = _distinct([row_id(row) for row in rows])
        if first.get("next") is not None and size:
            pages = -(-count // size)
        state.check_rows(count)
        if pages > MAX_PAGES:
            raise UpstreamError(Cause("too_many", f"TeamUp reports more than {MAX_PAGES} pages"))

        def fetch(number: int, cancelled: threading.Event) -> Mapping[str, Any]:
            return first if number == 1 else self._page(params, number, state, form, cancelled)

        fetched = run_each(fetch, range(1, pages + 1), max_workers=self._concurrency)
        try:
            # Pages are parsed in this thread, while others wait for upstream.
            with closing(fetched):
                read_pages = {number: self._parse(page) for number, page in fetched}
        except MissingPageError:
            return None
        ids: list[int | None] = []
        parsed: list[Parsed] = []
        for _, page in sorted(read_pages.items()):
            if isinstance(page, UpstreamError):
                raise page
            if page.count != count:
                return None
            ids.extend(page.ids)
            parsed.append(page.parsed)
        return parsed if _distinct(ids) == count else None

    def _parse(self, page: Mapping[str, Any]) -> _ParsedPage | UpstreamError:
        """The parsed page, or the error, which is raised only when all pages have been read."""
        try:
            count, rows = _envelope(page)
        except UpstreamError as err:
            return err
        ids = [row_id(row) for row in rows]
        parsed = parse(rows, self._source, self._origin, anonymous=self._anonymous)
        return _ParsedPage(count, ids, parsed)

    def _first_page(
        self, params: Params, state: "_WalkState"
    ) -> tuple[Mapping[str, Any], _PageForm]:
        """Page 1, and the form in which the other pages are to be requested.

        If upstream refuses the page size or does not support ``fields``, it is requested again in
        a simpler form, which is remembered. So is it if rows lack the same without ``fields``.
        """
        form = best = self._page_form()
        while True:
            try:
                page = self._page(params, 1, state, form)
            except UpstreamError as err:
                simpler = _simpler(form, err.cause.rejected)
                if err.cause.code != "parameter_invalid" or simpler is None:
                    raise
                form = simpler
                continue
            if form.with_fields and (missing := self._newly_missing_fields(page)):
                plain = form._replace(with_fields=False)
                plain_page = self._page(params, 1, state, plain)
                if missing <= self._missing_fields(plain_page):
                    self._remember_missing(missing)
                else:
                    page, form = plain_page, plain
            break
        if page.get("next") is not None and len(_envelope(page)[1]) < form.size:
            form_to_remember = form._replace(size=min(form.size, SMALL_PAGE))
        else:
            form_to_remember = form
        self._remember(best, form_to_remember)
        return page, form

    def _missing_fields(self, page: Mapping[str, Any]) -> frozenset[str]:
        return missing_fields(_envelope(page)[1], self._source, anonymous=self._anonymous)

    def _newly_missing_fields(self, page: Mapping[str, Any]) -> frozenset[str]:
        """The missing fields that rows may have in an answer without ``fields``."""
        return self._missing_fields(page) - self._known_missing_fields()

    def _known_missing_fields(self) -> frozenset[str]:
        hint = self._budget.hint(self._hint(_FIELDS_HINT)) or ""
        return frozenset(hint.removeprefix(_FIELDS_MISSING).split(","))

    def _remember_missing(self, fields: frozenset[str]) -> None:
        known = sorted(fields | self._known_missing_fields())
        self._budget.remember_hint(
            self._hint(_FIELDS_HINT), _FIELDS_MISSING + ",".join(filter(None, known))
        )

    def _page_form(self) -> _PageForm:
        """The form that upstream is known to answer, or else the one that is best for it."""
        size = self._budget.hint(self._hint(_SIZE_HINT))
        unsupported = self._budget.hint(self._hint(_FIELDS_HINT)) == _FIELDS_UNSUPPORTED
        return _PageForm(SMALL_PAGE if size else self._source.page_size, not unsupported)

    def _remember(self, before: _PageForm, form: _PageForm) -> None:
        if form.size < before.size:
            self._budget.remember_hint(self._hint(_SIZE_HINT), str(form.size))
        if before.with_fields and not form.with_fields:
            self._budget.remember_hint(self._hint(_FIELDS_HINT), _FIELDS_UNSUPPORTED)

    def _hint(self, name: str) -> str:
        return f"{name} of {self._source.path}"

    def _page(
        self,
        params: Params,
        number: int,
        state: "_WalkState",
        form: _PageForm,
        cancelled: threading.Event | None = None,
    ) -> Mapping[str, Any]:
        page_params = [
            *params,
            ("page_size", str(form.size)),
            ("page", str(number)),
            ("expand", ",".join(self._source.expand)),
        ]
        if form.with_fields:
            page_params.append(("fields", ",".join(self._source.fields)))
        page = self._client.page(
            self._source.path,
            page_params,
            RequestContext(
                state.deadline,
                state.purpose,
                cancelled or threading.Event(),
                state.heartbeat,
                state.count_bytes,
            ),
        )
        state.count_page()
        return _without(page, self._source.forbidden)


def _without(page: Mapping[str, Any], names: Set[str]) -> Mapping[str, Any]:
    """*page* without the fields *names* of its rows, before anything else reads them."""
    rows = page.get("results")
    if not names or not isinstance(rows, list):
        return page
    kept = [
        {name: value for name, value in row.items() if name not in names}
        if isinstance(row, Mapping)
        else row
        for row in rows
    ]
    return {**page, "results": kept}


def _without_end(parsed: Parsed) -> frozenset[int]:
    return frozenset(session.id for session in parsed.sessions if session.end is None)


def _batches(ids: Sequence[int], most: int) -> Iterator[Sequence[int]]:
    for first in range(0, len(ids), most):
        yield ids[first : first + most]


def _simpler(form: _PageForm, rejected: Sequence[str]) -> _PageForm | None:
    """The next form to try after upstream has refused *form*.

    Args:
        rejected: the parameters that it named.
    """
    without_fields = form._replace(with_fields=False) if form.with_fields else None
    if without_fields and "fields" in rejected and "page_size" not in rejected:
        return without_fields
    return form._replace(size=SMALL_PAGE) if form.size > SMALL_PAGE else without_fields


def _drop_past_booking_opens(
    sessions: Iterable[ClassSession], started: float
) -> tuple[ClassSession, ...]:
    """The sessions, without those starts of booking that are over when the walk begins."""
    now = datetime.fromtimestamp(started, UTC)
    return tuple(
        replace(session, booking_opens=None)
        if session.booking_opens and session.booking_opens <= now
        else session
        for session in sessions
    )


class _WalkState:
    """State that the pages of one walk share."""

    def __init__(
        self, heartbeat: Heartbeat, deadline: Deadline, purpose: Purpose, limits: WalkLimits
    ) -> None:
        self.heartbeat = heartbeat
        self.deadline = deadline
        self.purpose = purpose
        self.pages = 0
        self._limits = limits
        self._bytes = 0
        self._lock = threading.Lock()

    def check_rows(self, count: int) -> None:
        if count > self._limits.rows:
            raise UpstreamError(
                _too_large(f"it has {count} rows", f"WALK_MAX_ROWS={self._limits.rows}")
            )

    def count_bytes(self, size: int) -> None:
        with self._lock:
            self._bytes += size
            if self._bytes > self._limits.bytes:
                raise UpstreamError(
                    _too_large("its pages are too long", f"WALK_MAX_BYTES={self._limits.bytes}")
                )

    def count_page(self) -> None:
        with self._lock:
            self.pages += 1


def _defect(parsed: Parsed) -> Cause | None:
    """Why no row can be used. A few bad rows, which may be all that there are, are no defect."""
    bad = {reason: rows for reason, rows in parsed.tally.items() if reason.startswith("dropped")}
    count = sum(bad.values())
    if parsed.sessions or count <= _MOST_BAD_ROWS:
        return None
    reason = max(bad, key=lambda reason: bad[reason]).removeprefix("dropped: ")
    return Cause("malformed", f"none of TeamUp's {count} rows can be used: {reason}")


def _too_large(problem: str, setting: str) -> Cause:
    return Cause(
        "too_large",
        f"TeamUp's timetable is too large, {problem}: check what the account lists, or raise"
        f" {setting}",
        problem_area=ProblemArea.SIZE,
    )


def _distinct(ids: Sequence[int | None]) -> int:
    """The number of different rows: each id counts once, and so does each row without an id."""
    return len({id for id in ids if id is not None}) + ids.count(None)


def _envelope(page: Mapping[str, Any]) -> tuple[int, list[object]]:
    """The number of rows on all pages, and the rows of *page*."""
    count, rows = page.get("count"), page.get("results")
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise UpstreamError(Cause("malformed", "TeamUp's answer has no usable count of its rows"))
    if not isinstance(rows, list):
        raise UpstreamError(Cause("malformed", "TeamUp's answer has no list of rows"))
    return count, list(rows)
