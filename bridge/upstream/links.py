"""Links from upstream, made safe for pages and calendars."""

import re
from functools import lru_cache
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

_MAX_URL = 2_000
# Nearly all links are of this form, and stay as they are.
_PLAIN = re.compile(r"https?://(?P<host>[a-z0-9.\-]+(?::[0-9]+)?)/[A-Za-z0-9/._~\-]*")


def safe_link(value: object, origin: str | None) -> str | None:
    """A safe http or https URL, or None.

    Args:
        origin: the scheme and host for a path with exactly one leading slash; None: reject paths.
    """
    if not isinstance(value, str) or len(value) > _MAX_URL:
        return None
    value = value.strip()
    if origin and re.match(r"/(?!/)", value):
        value = origin + value
    plain = _PLAIN.fullmatch(value)
    if plain is not None and _host_and_port(plain["host"]) == plain["host"]:
        return value
    if re.search(r"[\x00-\x20\x7f\\\ud800-\udfff\"<>^`{|}]", value):
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    host_and_port = _host_and_port(parts.netloc)
    if host_and_port is None or parts.scheme not in ("http", "https"):
        return None
    # User names, which can disguise the host, are removed; non-ASCII characters are encoded.
    safe = "/:?#[]@!$&'()*+,;=%~"
    path, query, fragment = (
        quote(part, safe=safe) for part in (parts.path, parts.query, parts.fragment)
    )
    return urlunsplit((parts.scheme, host_and_port, path, query, fragment))


# Cached, because nearly all links of a timetable have the same few hosts.
@lru_cache(maxsize=256)
def _host_and_port(netloc: str) -> str | None:
    """The host of *netloc* in ASCII, with the port if there is one; None if it is invalid."""
    parts = SplitResult("", netloc, "", "", "")
    try:
        host = (parts.hostname or "").encode("idna").decode("ascii")
        port = f":{parts.port}" if parts.port else ""
    except (ValueError, UnicodeError):
        return None
    if not re.fullmatch(r"[a-z0-9.\-_]+|[0-9a-f:.]+", host):
        return None
    return f"[{host}]{port}" if ":" in host else host + port
