"""Where the bridge lives: its own address, and the path below which a proxy serves it."""

import re
from urllib.parse import urlsplit

from flask import Request
from werkzeug.exceptions import BadRequest

from bridge.config import STUDIOS_PATH
from bridge.web.middleware.limits import is_host

STUDIO_PREFIX = "bridge.studio_prefix"
"""Key of the WSGI environment: the part of the path that names the studio, such as /s/<slug>."""

_SLUG = re.compile(rf"{STUDIOS_PATH}[a-z0-9-]+$", re.ASCII)
# Not //…, which browsers would read as a host.
_ROOT = re.compile(r"(?:/[A-Za-z0-9._~-]+)*", re.ASCII)


def root_path(request: Request, base_url: str | None) -> str:
    """The prefix of the bridge's paths, which every link contains; empty without a prefix.

    Args:
        base_url: the bridge's own address, if set. Its path takes precedence over the header of a
            proxy, which a visitor can send if the proxy passes it on; but not where a studio was
            requested below its slug and its address is a host, or the other way round.

    Raises:
        BadRequest: the prefix in the header is not a path.
    """
    if base_url is not None:
        path = urlsplit(base_url).path
        own, here = _below_slug(path), request.environ.get(STUDIO_PREFIX)
        if here is None or own == here or (path and not own):
            return path
    if not _ROOT.fullmatch(request.script_root):
        raise BadRequest
    return request.script_root


def _below_slug(path: str) -> str:
    """The end of *path* that names a studio; empty if it names none."""
    found = _SLUG.search(path)
    return found[0] if found else ""


def base_address(request: Request, base_url: str | None) -> str:
    """The bridge's own address without a trailing slash, for absolute links.

    Args:
        base_url: the address in the settings; without one it is where the request was sent.

    Raises:
        BadRequest: the host, or the path prefix from a proxy, is not valid.
    """
    if base_url is not None:
        return base_url
    # Responses contain the address.
    if not is_host(request.host) or request.scheme not in ("http", "https"):
        raise BadRequest
    return f"{request.scheme}://{request.host}{root_path(request, None)}"


def link_base(request: Request, base_url: str | None) -> str:
    """What precedes the paths in links of responses that are the same for all hosts: the bridge's
    own address if it is set, else the prefix of its paths.

    Raises:
        BadRequest: the prefix in the header is not a path.
    """
    return root_path(request, None) if base_url is None else base_url
