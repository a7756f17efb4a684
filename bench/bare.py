"""The reference for the hot path: a WSGI function that returns bytes from memory.

The environment variable ``BARE_RESPONSES`` is the path of a JSON file: request path → [status line,
headers, name of a file in the same folder with the body].
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_file = Path(os.environ["BARE_RESPONSES"])
_responses = {
    path: (status, [(name, value) for name, value in headers], [(_file.parent / body).read_bytes()])
    for path, (status, headers, body) in json.loads(_file.read_text(encoding="utf-8")).items()
}


def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Return the response of this path."""
    status, headers, body = _responses[environ["PATH_INFO"]]
    start_response(status, headers)
    return body
