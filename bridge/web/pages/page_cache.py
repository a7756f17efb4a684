"""Responses of pages: rendered once for as long as what they show stands, with validators."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime

from flask import Response, current_app

from bridge.bounded_cache import BoundedCache
from bridge.feeds.feed import Body, FirstRenders
from bridge.snapshots.cache import Lookup
from bridge.web import representation
from bridge.web.feed_responses import cache_control
from bridge.web.middleware import security_headers
from bridge.web.pages.page_context import PageContext
from bridge.web.representation import Freshness, Representation

_MAX_BYTES = 8 * 1024 * 1024
_HTML = {"Content-Type": "text/html; charset=utf-8"}
VARY = "Accept-Encoding, Accept-Language"


@dataclass(frozen=True, slots=True)
class Page:
    """A page, and for how long it is right.

    Attributes:
        since: the latest moment at which it became what it is, as far as time alone decides.
        until: the next such moment.
    """

    html: str
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Kept:
    body: Body
    version: Hashable
    until: float


class PageCache:
    """The pages that this worker rendered."""

    def __init__(self, first_renders: FirstRenders) -> None:
        self._first_renders = first_renders
        self._kept: BoundedCache[_Kept] = BoundedCache(_MAX_BYTES, lambda one: one.body.size)

    def get(
        self,
        key: Hashable,
        version: Hashable,
        now: datetime,
        walked: float,
        render: Callable[[], Page],
    ) -> Body:
        """The page of *key*; rendered, if there is none that is still right.

        Args:
            version: of what it shows.
            walked: when that was, in seconds since 1970.
        """
        kept = self._kept.get(key)
        if kept is not None and kept.version == version and now.timestamp() < kept.until:
            return kept.body
        with self._first_renders.held(unless=kept is not None):
            page = render()
        since = page.since.timestamp() if page.since else 0.0
        body = Body.of(page.html.encode(), changed=max(walked, since), name="", sessions=0)
        until = page.until.timestamp() if page.until else float("inf")
        self._kept.put(key, _Kept(body, version, until))
        return body


def answer(
    visit: PageContext,
    lookup: Lookup | None,
    key: tuple[Hashable, ...],
    render: Callable[[], Page],
    *,
    indexed: bool = True,
) -> Response:
    """A page, or 304 where the visitor has it already.

    Args:
        lookup: of the snapshot that the page shows, if it shows one.
        key: what else it is made of, but for what the visit tells.
        indexed: whether search engines may list it.
    """
    pages: PageCache = current_app.extensions["pages"]
    config = visit.services.config
    headers = {
        **security_headers.page_headers(visit.request.path, config.embed_allowed_origins),
        "Cache-Control": cache_control(config),
        "Vary": VARY,
    }
    freshness: Freshness | None = None
    key = (*key, visit.language, visit.root, visit.base, visit.chosen)
    version: Hashable = None
    walked = 0.0
    if lookup is not None:
        freshness = Freshness.of(lookup)
        standing = visit.standing(lookup)
        version = (lookup.version, standing)
        walked = lookup.snapshot.walked
        if standing:
            # It says so since its time was over.
            walked = min(walked + config.cache_ttl, visit.now.timestamp())
    if not indexed:
        headers["X-Robots-Tag"] = "noindex"
    body = pages.get(key, version, visit.now, walked, render)
    return representation.answer(
        visit.request,
        Representation(
            body,
            headers=[*headers.items()],
            content=[*_HTML.items()],
            freshness=freshness,
            max_age=config.cache_ttl,
            by_language=True,
            accel=bool(config.trusted_proxies),
        ),
    )
