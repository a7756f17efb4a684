"""Negotiation: what a request's headers ask for."""

from functools import lru_cache

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


def unmodified(
    if_none_match: str | None, if_modified_since: str | None, *, etag: str, last_modified: str
) -> bool:
    """Whether the client has the answer to a GET or HEAD request already (RFC 9110, 13.2.2).

    If-Match is for requests that write, and is ignored.

    Args:
        if_none_match, if_modified_since: the request's headers, None where it has none.
        etag: the answer's, quoted.
        last_modified: the answer's, as an HTTP date.
    """
    if if_none_match is None and if_modified_since is None:
        return False
    if if_none_match == etag:
        return True
    return not is_resource_modified(
        http_if_none_match=if_none_match,
        http_if_modified_since=if_modified_since,
        etag=etag,
        last_modified=last_modified or None,
    )
