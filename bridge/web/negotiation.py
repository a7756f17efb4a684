"""Negotiation: what a request's headers come to, for those who answer it and for the cache."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header
from werkzeug.sansio.http import is_resource_modified

from bridge.web import languages


@lru_cache(maxsize=256)
def wants_gzip(accept_encoding: str) -> bool:
    """Whether gzip is welcome (RFC 9110, 12.5.3)."""
    accepted = parse_accept_header(accept_encoding)
    return bool(0 < accepted.quality("gzip") >= accepted.quality("identity"))


@lru_cache(maxsize=256)
def wants_language(accept_language: str) -> tuple[str, str]:
    """The language and the locale of a page whose address asks for none."""
    language = languages.negotiate(None, parse_accept_header(accept_language, LanguageAccept))
    return (language.tag, language.dates)


VARYING = {"HTTP_ACCEPT_ENCODING": wants_gzip, "HTTP_ACCEPT_LANGUAGE": wants_language}
"""What answers vary on, and how."""


def unmodified(environ: Mapping[str, Any], *, tag: str | None, modified: str | None) -> bool:
    """Whether the client has the answer already (RFC 9110, 13.2.2).

    Args:
        environ: of a GET or HEAD request. If-Match is for those who write: it is passed over.
        tag: the answer's ``ETag``, quoted.
        modified: its ``Last-Modified``.
    """
    tags = environ.get("HTTP_IF_NONE_MATCH")
    since = environ.get("HTTP_IF_MODIFIED_SINCE")
    if tags is None and since is None:
        return False
    if tags is not None and tags == tag:
        return True
    return not is_resource_modified(
        http_if_none_match=tags, http_if_modified_since=since, etag=tag, last_modified=modified
    )
