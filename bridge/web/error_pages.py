"""Error responses: what is wrong and what to do, in the format of the requested address."""

from collections.abc import Mapping
from contextlib import suppress

import structlog
from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException

from bridge.errors import (
    BridgeError,
    ParameterError,
    TooManyRequestsError,
    UnavailableError,
    UnknownFeedError,
)
from bridge.feeds.formats import CHANGE_FORMATS, FORMATS
from bridge.services import Services
from bridge.web.feed_responses import ALLOWED, READABLE
from bridge.web.middleware import access_log, limits, security_headers
from bridge.web.pages.embed_options import LIGHT, THEMES
from bridge.web.pages.page_cache import VARY
from bridge.web.pages.page_context import PageContext
from bridge.web.pages.page_title import UnknownPageError

log = structlog.get_logger()

_CODES: dict[type[BridgeError], int] = {
    ParameterError: 400,
    UnknownFeedError: 404,
    TooManyRequestsError: 429,
    UnavailableError: 503,
}
TITLES = {
    400: "This address is not valid",
    401: "This page is for the operator of the bridge",
    404: "Nothing was found at this address",
    405: "This address is read-only",
    414: "This address is too long",
    429: "Too many requests",
    431: "The request's headers are too long",
    500: "Internal error of the bridge",
    503: "The timetable is not available right now",
}
# The translated page explains these completely; for others it also shows the English text.
_WITHOUT_DETAIL = (404, 405, 414, 431)
_PLAIN = "text/plain; charset=utf-8"
_HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": 'Basic realm="operator", charset="UTF-8"'},
    405: {"Allow": ALLOWED},
}
_ADVICE = {
    404: "Check the address. Feeds are at /venues/<id>.ics, /rooms/<id>.ics, /instructors/<id>.ics,"
    " /courses/<id>.ics, /types/<id>.ics and /sessions.ics.",
    401: "Enter the operator's token as the password, with any user name.",
    405: "Use GET or HEAD.",
    414: "Request fewer items at once.",
    431: "Send fewer or shorter headers.",
}


def register(app: Flask) -> None:
    """Register the error handlers with *app*."""

    app.before_request(_refuse)

    @app.errorhandler(BridgeError)
    def bridge_error(err: BridgeError) -> Response:
        code = _CODES.get(type(err))
        if code is None:
            return unexpected_error(err)
        retry_after = getattr(err, "retry_after", None)
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        # For private feeds the response must not tell what is wrong with the address.
        text = _ADVICE[404] if code == 404 else str(err)
        return _respond(code, text, headers, parameter=getattr(err, "parameter", None))

    @app.errorhandler(UnknownPageError)
    def unknown_page(err: UnknownPageError) -> Response:
        return _respond(404, _ADVICE[404], unknown=err.word)

    @app.errorhandler(HTTPException)
    def http_error(err: HTTPException) -> Response:
        code = err.code or 500
        advice = _ADVICE.get(code, "Check the address and the headers of the request.")
        return _respond(code, advice, _HEADERS.get(code))

    @app.errorhandler(Exception)
    def unexpected_error(err: Exception) -> Response:
        log.error("request failed", exc_info=err, route=str(request.url_rule))
        request_id = request.environ[access_log.REQUEST_ID_KEY]
        return _respond(500, logged_as(request_id))


def logged_as(request_id: str) -> str:
    """What to say of an error of the bridge."""
    return f"The error is logged with the ID {request_id}; try again in a moment."


def register_plain(app: Flask) -> None:
    """Register a handler for errors outside of any studio: short texts that name none."""
    app.before_request(_refuse)

    @app.errorhandler(HTTPException)
    def http_error(err: HTTPException) -> Response:
        code = err.code or 500
        text = f"{TITLES.get(code, 'The request failed')}.\n"
        headers = {"Cache-Control": "no-store", **_HEADERS.get(code, {})}
        return Response(text, code, headers, content_type=_PLAIN)


def _refuse() -> None:
    error = limits.refusal(request.environ)
    if error is not None:
        raise error


def _respond(
    code: int,
    text: str,
    headers: Mapping[str, str] | None = None,
    *,
    unknown: str | None = None,
    parameter: str | None = None,
) -> Response:
    services: Services = current_app.extensions["bridge"]
    title = TITLES.get(code, "The request failed")
    path = request.path
    _, dot, suffix = path.rpartition(".")
    form = {**CHANGE_FORMATS, **FORMATS}.get(suffix) if dot else None
    if form is not None:
        body, kind = form.error(title, code, text, parameter), form.error_type
    else:
        body, kind = _page(code, text, unknown), "text/html; charset=utf-8"
        headers = {"Vary": VARY, **(headers or {})}
    return Response(
        body,
        status=code,
        headers={
            **security_headers.page_headers(path, services.config.embed_allowed_origins),
            "Content-Type": kind,
            "Cache-Control": "no-store",
            **READABLE,
            **(headers or {}),
        },
    )


def _page(code: int, text: str, unknown: str | None) -> str:
    """The error as a page in the visitor's language; only *text* is in English."""
    context = _page_context()
    embedded = request.path.startswith(security_headers.EMBEDDED)
    words = context.language.words
    suffix = code if f"error_{code}" in words else "other"
    return context.render(
        "error.html",
        page_path=None,
        embedded=embedded,
        theme=_theme() if embedded else None,
        title=words[f"unknown_{unknown}" if unknown else f"error_{suffix}"],
        advice=words["unknown_help" if unknown else f"help_{suffix}"],
        text=None if code in _WITHOUT_DETAIL else text,
    )


def _theme() -> str:
    """The theme that the request has for an embedded page, or else the default."""
    valid = limits.violation(request.environ) is None
    theme = request.args.get("theme") if valid else None
    return theme if theme in THEMES else LIGHT


def _page_context() -> PageContext:
    if limits.violation(request.environ) is None:
        # If the language or the host of the request is not valid, neither is used.
        with suppress(BridgeError, HTTPException):
            return PageContext.of(request)
    services: Services = current_app.extensions["bridge"]
    return PageContext(request, services, services.config.feed_language, "", "", None)
