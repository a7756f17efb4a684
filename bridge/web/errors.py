"""Errors as a visitor sees them: what is wrong and what to do, in the form that was asked for."""

import json

import structlog
from flask import Flask, Response, g, render_template, request
from werkzeug.exceptions import (
    HTTPException,
    RequestHeaderFieldsTooLarge,
    RequestURITooLarge,
)

from bridge.errors import (
    BridgeError,
    CrowdedError,
    NotYetError,
    ParameterError,
    UnavailableError,
    UnknownFeedError,
)
from bridge.web.responses import ALLOWED, CORS

log = structlog.get_logger()

_CODES: dict[type[BridgeError], int] = {
    ParameterError: 400,
    UnknownFeedError: 404,
    CrowdedError: 429,
    NotYetError: 501,
    UnavailableError: 503,
}
_TITLES = {
    400: "This address asks for something that is not offered",
    404: "There is nothing at this address",
    405: "This address is read only",
    414: "This address is too long",
    429: "Too much at once",
    431: "The request's headers are too long",
    500: "The bridge failed",
    501: "Not built yet",
    503: "The timetable cannot be had at present",
}
_MAX_QUERY = 8_000
_MAX_PATH = 4_000
_MAX_HEADER = 16_000
_ADVICE = {
    404: "The address may be misspelled. Feeds are at /venues/<id>.ics, /instructors/<id>.ics,"
    " /courses/<id>.ics and /sessions.ics.",
    405: "GET and HEAD are accepted.",
    414: "Ask for fewer things at once.",
    431: "Send shorter ones.",
}


def register(app: Flask) -> None:
    """Make *app* answer errors so."""

    @app.before_request
    def refuse_overlong() -> None:
        if len(request.query_string) > _MAX_QUERY or len(request.path) > _MAX_PATH:
            raise RequestURITooLarge
        if any(
            len(value) > _MAX_HEADER
            for name, value in request.environ.items()
            if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")
        ):
            raise RequestHeaderFieldsTooLarge

    @app.errorhandler(BridgeError)
    def expected(err: BridgeError) -> Response:
        code = _CODES.get(type(err))
        if code is None:
            return broken(err)
        after = getattr(err, "retry_after", None)
        headers = {} if after is None else {"Retry-After": str(after)}
        # Of a private feed nobody learns what is wrong with its address.
        return _answer(code, _ADVICE[404] if code == 404 else str(err), headers)

    @app.errorhandler(HTTPException)
    def refused(err: HTTPException) -> Response:
        code = err.code or 500
        headers = {"Allow": ALLOWED} if code == 405 else {}
        return _answer(code, _ADVICE.get(code, "The request cannot be answered."), headers)

    @app.errorhandler(Exception)
    def broken(err: Exception) -> Response:
        log.error("request failed", exc_info=err, route=str(request.url_rule))
        return _answer(500, f"The fault is logged under {g.request_id}; ask again in a moment.")


def _answer(code: int, text: str, headers: dict[str, str] | None = None) -> Response:
    title = _TITLES.get(code, "This cannot be answered")
    path = request.path
    if path.endswith((".ics", ".txt")):
        body, kind = f"{title}: {text}\n", "text/plain; charset=utf-8"
    elif path.endswith(".json"):
        problem = {"type": "about:blank", "title": title, "status": code, "detail": text}
        body, kind = json.dumps(problem) + "\n", "application/problem+json"
    else:
        body = render_template("error.html", title=title, text=text, code=code)
        kind = "text/html; charset=utf-8"
    return Response(
        body,
        status=code,
        headers={
            "Content-Type": kind,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'",
            **CORS,
            **(headers or {}),
        },
    )
