"""The page cache: pages rendered once while their content is valid, and their responses."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from datetime import datetime

from flask import Response, current_app

from bridge.bounded_cache import BoundedCache, CacheMemory
from bridge.feeds.feed import Body, FirstRenders
from bridge.feeds.last_modified import LastModified
from bridge.feeds.spec import FeedSpec
from bridge.instrumentation import Instrumentation
from bridge.snapshots.cache import Lookup
from bridge.web import representation
from bridge.web.feed_responses import cache_control
from bridge.web.middleware import security_headers
from bridge.web.pages.page_context import PageContext
from bridge.web.representation import Freshness, Representation

_HTML = {"Content-Type": "text/html; charset=utf-8"}
VARY = "Accept-Encoding, Accept-Language"


@dataclass(frozen=True, slots=True)
class Page:
    """A rendered page, and the times between which it is valid.

    Attributes:
        since: when it last changed because time passed; None if time does not change it.
        until: when it will next change because time passes.
    """

    html: str
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class _CachedPage:
    body: Body
    version: Hashable
    until: float


class PageCache:
    """The rendered pages of one studio in this worker."""

    def __init__(
        self,
        memory: CacheMemory,
        first_renders: FirstRenders,
        last_modified: LastModified,
        instrumentation: Instrumentation,
    ) -> None:
        self._instrumentation = instrumentation
        self._first_renders = first_renders
        self._last_modified = last_modified
        self._pages: BoundedCache[_CachedPage] = BoundedCache(memory, lambda entry: entry.body.size)

    def get(
        self,
        key: tuple[Hashable, ...],
        version: Hashable,
        now: datetime,
        walked: float,
        render: Callable[[], Page],
    ) -> Body:
        """The page of *key*, rendered unless a valid one is cached.

        Args:
            version: version of its content.
            walked: time of its content, in seconds since 1970.
        """
        cached = self._pages.get(key)
        if cached is not None and cached.version == version and now.timestamp() < cached.until:
            return cached.body
        with (
            self._first_renders.serialise(unless=cached is not None),
            self._instrumentation.rendering("html"),
        ):
            page = render()
        since = page.since.timestamp() if page.since else 0.0
        body = Body.of(page.html.encode(), changed=max(walked, since))
        changed = self._last_modified.record(_name(key), body.etag, body.changed)
        body = replace(body, changed=changed)
        until = page.until.timestamp() if page.until else float("inf")
        self._pages.put(key, _CachedPage(body, version, until))
        return body


def page_response(
    context: PageContext,
    lookup: Lookup | None,
    key: tuple[Hashable, ...],
    render: Callable[[], Page],
    *,
    indexed: bool = True,
    private: bool = False,
    state: Hashable = None,
) -> Response:
    """A 200 with the page, or a 304.

    Args:
        lookup: the snapshot that the page shows, if any.
        key: everything else that the page depends on, except the context.
        indexed: whether search engines may list the page.
        state: what else the page shows that changes; the page of another state replaces it.
        private: whether shared caches must not store it; then search engines must not list it.
    """
    pages: PageCache = current_app.extensions["pages"]
    config = context.services.config
    headers = {
        **security_headers.page_headers(context.request.path, config.embed_allowed_origins),
        "Cache-Control": cache_control(config, private=private),
        "Vary": VARY,
    }
    freshness: Freshness | None = None
    key = (
        *key,
        context.language.tag,
        context.language.locale_tag,
        context.root,
        context.base,
        context.chosen_language,
    )
    version: Hashable = context.studio.name
    walked = 0.0
    if lookup is not None:
        freshness = Freshness.of(lookup)
        notice = context.age_notice_key(lookup)
        version = (version, lookup.version, notice, state)
        walked = lookup.snapshot.oldest_walk_at
        if notice:
            # The page changed when the notice appeared.
            walked = min(walked + config.cache_ttl, context.now.timestamp())
    if private or not indexed:
        headers["X-Robots-Tag"] = "noindex"
    body = pages.get(key, version, context.now, walked, render)
    return representation.respond(
        context.request,
        Representation(
            body,
            headers=[*headers.items()],
            content=[*_HTML.items()],
            freshness=freshness,
            max_age=config.cache_ttl,
            shared=not private,
            by_language=True,
            accel=bool(config.trusted_proxies) and not private,
            made_at=context.services.store.now(),
        ),
    )


def _name(key: tuple[Hashable, ...]) -> str:
    """A name of the page that is the same on every machine."""
    parts = (part.name if isinstance(part, FeedSpec) else str(part) for part in key)
    return " ".join(("page", *parts))
