"""Content negotiation and conditional requests, from the headers of a request."""

import re
from functools import lru_cache

from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header
from werkzeug.sansio.http import is_resource_modified

from bridge import languages
from bridge.languages import Language

# The three forms of RFC 9110, 5.6.7. Anything else, such as a list of dates, is ignored (13.1.3).
_HTTP_DATE = re.compile(
    r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"
    r"|[A-Z][a-z]{5,8}, \d\d-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\d GMT"
    r"|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}",
    re.ASCII,
)


@lru_cache(maxsize=256)
def accepts_gzip(accept_encoding: str) -> bool:
    """Whether the client accepts gzip, and does not prefer no coding (RFC 9110, 12.5.3)."""
    accepted = parse_accept_header(accept_encoding)
    return bool(0 < accepted.quality("gzip") >= accepted.quality("identity"))


@lru_cache(maxsize=256)
def preferred_language(accept_language: str, fallback: Language) -> tuple[str, str]:
    """The tags of language and locale for a page, if its address has no ``lang``."""
    accepted = parse_accept_header(accept_language, LanguageAccept)
    language = languages.negotiate(None, accepted, fallback)
    return (language.tag, language.locale_tag)


def is_not_modified(
    if_none_match: str | None, if_modified_since: str | None, *, etag: str, last_modified: str
) -> bool:
    """Whether the response to a GET or HEAD request is a 304 (RFC 9110, 13.2.2).

    If-Match is for requests that change a resource, and is ignored.

    Args:
        if_none_match, if_modified_since: the headers of the request; None if missing.
        etag: of the response, quoted.
        last_modified: of the response, as an HTTP date.
    """
    if if_modified_since is not None and not _HTTP_DATE.fullmatch(if_modified_since.strip()):
        if_modified_since = None
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
