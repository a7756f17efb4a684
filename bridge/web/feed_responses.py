"""The responses of feeds: their headers and file names."""

import re

from flask import Request, Response, request

from bridge.config import Config
from bridge.feeds.feed import Feed
from bridge.feeds.formats.base import Format
from bridge.feeds.spec import FeedSpec
from bridge.services import Services
from bridge.text_cleanup import folded
from bridge.web.middleware.limits import METHODS
from bridge.web.middleware.security_headers import SAFE
from bridge.web.pages.page_budget import MAX_PATH
from bridge.web.representation import Freshness, Representation, respond
from bridge.web.site_address import link_base

CORS = {"Access-Control-Allow-Origin": "*"}
EXPOSED = (
    "Age, Bridge-Notice, Cache-Status, Content-Disposition, ETag, Last-Modified, Link, Retry-After"
)
ALLOWED = ", ".join(METHODS)
READABLE = {"Access-Control-Expose-Headers": EXPOSED, **CORS}
"""Let programs on other origins read a response, and those of its headers that they may need."""
SHARED_HEADERS = {"Vary": "Accept-Encoding", **READABLE, **SAFE}
"""The headers of everything that programs on other origins may read."""


def feed_response(
    request: Request, feed: Feed, spec: FeedSpec, form: Format, services: Services
) -> Response:
    """A 200 with the feed, or a 304."""
    config = services.config
    private = bool(spec.audience.private)
    headers = {
        "Cache-Control": cache_control(config, private=private),
        **SHARED_HEADERS,
    }
    if feed.body.notice:
        headers["Bridge-Notice"] = feed.body.notice
    path = spec.path("/changes" if form.of_changes else "")
    # There is no page of a longer path, and proxies refuse responses with very long headers.
    if not private and len(path) <= MAX_PATH:
        page = link_base(request, config.public_base_url) + path
        headers["Link"] = f'<{page}>; rel="alternate"; type="text/html"'
    filename = slug(feed.body.name) or "classes"
    if form.of_changes:
        filename += "-changes"
    content = {
        "Content-Type": form.media_type,
        "Content-Disposition": f'inline; filename="{filename}.{form.suffix}"',
    }
    return respond(
        request,
        Representation(
            feed.body,
            headers=[*headers.items()],
            content=[*content.items()],
            freshness=Freshness.of(feed.lookup, trimmed=bool(feed.body.trimmed)),
            shared=not private,
            accel=bool(config.trusted_proxies) and not private,
            made_at=services.store.now(),
        ),
    )


def add_preflight_headers(response: Response) -> Response:
    """Answer CORS preflight requests (Fetch standard), so that other origins can read feeds."""
    if request.method == "OPTIONS" and response.status_code == 200:
        response.headers.update(CORS)
        response.headers["Access-Control-Allow-Methods"] = ALLOWED
        response.headers["Access-Control-Allow-Headers"] = "*"
        response.headers["Access-Control-Max-Age"] = "86400"
    return response


def cache_control(config: Config, *, private: bool = False) -> str:
    """The Cache-Control header of feeds and pages."""
    return (
        f"{'private' if private else 'public'}, max-age={config.cache_ttl},"
        f" stale-while-revalidate={config.stale_while_revalidate},"
        f" stale-if-error={config.stale_if_error}"
    )


def slug(name: str) -> str:
    """*name* as part of an address: ASCII letters, digits and hyphens."""
    # Dashes and the like separate words; an apostrophe does not.
    words = re.sub(r"[^\w’]", "-", folded(name))
    ascii_name = words.encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_name)[:60].strip("-")
