"""Responses of feeds: validators, lifetimes and the state of the cache, in headers."""

import re
from collections.abc import Mapping

from flask import Request, Response
from werkzeug.http import http_date

from bridge.cache.snapshots import Lookup, Served
from bridge.config import Config
from bridge.feeds.feed import Body, Feed
from bridge.feeds.spec import FeedSpec, Format
from bridge.text import folded
from bridge.web.negotiation import unmodified, wants_gzip
from bridge.web.security import SAFE

MIME_TYPES: Mapping[Format, str] = {
    Format.ICS: "text/calendar; charset=utf-8",
    Format.JSON: "application/json",
    Format.TEXT: "text/plain; charset=utf-8",
}
CORS = {"Access-Control-Allow-Origin": "*"}
EXPOSED = "Age, Cache-Status, Content-Disposition, ETag, Last-Modified, Link, Retry-After"
ALLOWED = "GET, HEAD, OPTIONS"
STALE, FAILED, TRIMMED = "stale", "failed", "trimmed"
"""In the ``detail`` of a Cache-Status: an old copy is given, while a new one is on its way; because
none can be had; sessions were left out for the feed's size."""


def feed_response(
    request: Request, feed: Feed, spec: FeedSpec, form: Format, config: Config
) -> Response:
    """The feed, or 304 where the client has it already (RFC 9110, 13.2.2)."""
    headers = {
        "Cache-Control": cache_control(config, private=bool(spec.audience.private)),
        "Age": str(int(feed.lookup.age)),
        "Vary": "Accept-Encoding",
        "Cache-Status": cache_status(feed.lookup, trimmed=bool(feed.body.trimmed)),
        "Access-Control-Expose-Headers": EXPOSED,
        **CORS,
        **SAFE,
    }
    if not spec.audience.private:
        page = (config.public_base_url or "") + spec.path()
        headers["Link"] = f'<{page}>; rel="alternate"; type="text/html"'
    filename = f"{_filename(feed.body)}.{form.value}"
    content = {
        "Content-Type": MIME_TYPES[form],
        "Content-Disposition": f'inline; filename="{filename}"',
    }
    return conditional(request, feed.body, headers, content)


def conditional(
    request: Request, body: Body, headers: Mapping[str, str], content: Mapping[str, str]
) -> Response:
    """*body*, in the coding that the client asks for, or 304 where it has it already.

    Args:
        headers: of either answer.
        content: of one that has a body.
    """
    zipped = wants_gzip(request.headers.get("Accept-Encoding", ""))
    tag = f'"{body.tag}{"-gz" if zipped else ""}"'
    modified = http_date(body.changed)
    every = {"ETag": tag, "Last-Modified": modified, **headers}
    if unmodified(request.environ, tag=tag, modified=modified):
        return Response(status=304, headers=every)
    coding = {"Content-Encoding": "gzip"} if zipped else {}
    return Response(body.zipped if zipped else body.plain, headers={**every, **content, **coding})


def cache_status(lookup: Lookup, *, trimmed: bool = False) -> str:
    """How the cache took part (RFC 9211)."""
    served = lookup.served
    left = f"hit; ttl={int(lookup.left)}"
    parts = {
        Served.HIT: left,
        Served.STALE: left,
        Served.FETCHED: "fwd=miss; stored",
        Served.REFRESHED: "fwd=stale; stored",
        Served.FAILED: "fwd=stale",
    }
    said = {Served.STALE: STALE, Served.FAILED: FAILED}.get(served)
    details = [one for one in (said, TRIMMED if trimmed else None) if one]
    status = f"bridge; {parts[served]}"
    if not details:
        return status
    # one word is a token, more are a string
    detail = details[0] if len(details) == 1 else f'"{", ".join(details)}"'
    return f"{status}; detail={detail}"


def cache_control(config: Config, *, private: bool = False) -> str:
    """How long others may keep an answer."""
    return (
        f"{'private' if private else 'public'}, max-age={config.cache_ttl},"
        f" stale-while-revalidate={config.stale_while_revalidate},"
        f" stale-if-error={config.stale_if_error}"
    )


def _filename(body: Body) -> str:
    return slug(body.name) or "classes"


def slug(name: str) -> str:
    """*name* for an address: ASCII letters, digits and hyphens."""
    ascii_name = folded(name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_name)[:60].strip("-")
