"""One line in the log for a request, found again by the id that its answer carries."""

import time
import uuid

import structlog
from flask import Flask, Response, g, request

from bridge.config import LogRequests

log = structlog.get_logger()

_LONGEST = 200


def register(app: Flask, which: LogRequests) -> None:
    """Log the requests of *app*; answers that were ready are left out unless *which* says all."""

    @app.before_request
    def begin() -> None:
        g.began = time.monotonic()
        g.request_id = uuid.uuid4().hex[:16]
        structlog.contextvars.bind_contextvars(request_id=g.request_id)

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.request_id
        status = response.headers.get("Cache-Status", "")
        ready = "; hit" in status and response.status_code < 400
        if which is LogRequests.ALL or not ready:
            log.info(
                "request",
                method=request.method[:10],
                route=str(request.url_rule) if request.url_rule else None,
                path=_path(),
                status=response.status_code,
                cache=status or None,
                milliseconds=round((time.monotonic() - g.began) * 1000, 1),
            )
        return response

    @app.teardown_request
    def forget(error: BaseException | None) -> None:
        structlog.contextvars.unbind_contextvars("request_id")


def _path() -> str | None:
    """The path, where it is no secret: a private feed's is one."""
    path = request.path
    return None if path.lstrip("/").lower().startswith("private") else path[:_LONGEST]
