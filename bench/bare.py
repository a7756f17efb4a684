"""The least that an application can do: one answer with the bytes of a file, and nothing else."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

FILE = "BENCH_FILE"
TAG = '"the-one"'

_BODY = Path(os.environ[FILE]).read_bytes() if FILE in os.environ else b""
_ALL = [
    ("Content-Type", "text/calendar; charset=utf-8"),
    ("Content-Length", str(len(_BODY))),
    ("ETag", TAG),
]


def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Answer, if only to say that the client has it."""
    if environ.get("HTTP_IF_NONE_MATCH") == TAG:
        start_response("304 NOT MODIFIED", [("ETag", TAG)])
        return []
    start_response("200 OK", _ALL)
    return [_BODY]
