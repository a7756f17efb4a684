"""Where the bridge lives: the path below which a proxy serves it."""

import re
from urllib.parse import urlsplit

from flask import Request
from werkzeug.exceptions import BadRequest

# Not //…, which browsers would read as a host.
_ROOT = re.compile(r"(?:/[A-Za-z0-9._~-]+)*", re.ASCII)


def root_path(request: Request, base_url: str | None) -> str:
    """The prefix of the bridge's paths, which every link contains; empty without a prefix.

    Args:
        base_url: the bridge's own address, if set. Its path takes precedence over the header of a
            proxy, which a visitor can send if the proxy passes it on.

    Raises:
        BadRequest: the prefix in the header is not a path.
    """
    if base_url is not None:
        return urlsplit(base_url).path
    if not _ROOT.fullmatch(request.script_root):
        raise BadRequest
    return request.script_root
