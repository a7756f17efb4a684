"""Errors as a visitor sees them: what is wrong and what to do, in the form that was asked for."""

from contextlib import suppress

import structlog
from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException, NotFound

from bridge.errors import (
    BridgeError,
    ParameterError,
    TooManyRequestsError,
    UnavailableError,
    UnknownFeedError,
)
from bridge.feeds.formats import FORMATS
from bridge.services import Services
from bridge.web import languages
from bridge.web.feed_responses import ALLOWED, CORS
from bridge.web.middleware import access_log, limits, security_headers
from bridge.web.pages.page_cache import VARY
from bridge.web.pages.page_context import PageContext

log = structlog.get_logger()

_CODES: dict[type[BridgeError], int] = {
    ParameterError: 400,
    UnknownFeedError: 404,
    TooManyRequestsError: 429,
    UnavailableError: 503,
}
_TITLES = {
    400: "This address asks for something that is not offered",
    401: "This page is for whoever runs the bridge",
    404: "There is nothing at this address",
    405: "This address is read only",
    414: "This address is too long",
    429: "Too much at once",
    431: "The request's headers are too long",
    500: "The bridge failed",
    503: "The timetable cannot be had at present",
}
# The page's own words say it all; of others the text tells what, exactly.
_SAID_BY_THE_PAGE = (404, 405, 414, 431)
_OPERATOR = 'Basic realm="operator", charset="UTF-8"'
_ADVICE = {
    404: "The address may be misspelled. Feeds are at /venues/<id>.ics, /instructors/<id>.ics,"
    " /courses/<id>.ics and /sessions.ics.",
    401: "Give the operator's token as the password, with any user.",
    405: "GET and HEAD are accepted.",
    414: "Ask for fewer things at once.",
    431: "Send shorter ones.",
}


class UnknownPageError(NotFound):
    """There is no page, because the public may know nothing of what it would be about.

    Args:
        word: what that is: ``venue``, ``instructor``, ``course`` or ``class``.
    """

    def __init__(self, word: str) -> None:
        super().__init__()
        self.word = word


def register(app: Flask) -> None:
    """Make *app* answer errors so."""

    @app.before_request
    def refuse() -> None:
        refusal = limits.refusal(request.environ)
        if refusal is not None:
            raise refusal

    @app.errorhandler(BridgeError)
    def expected(err: BridgeError) -> Response:
        code = _CODES.get(type(err))
        if code is None:
            return broken(err)
        after = getattr(err, "retry_after", None)
        headers = {} if after is None else {"Retry-After": str(after)}
        # Of a private feed nobody learns what is wrong with its address.
        return _answer(code, _ADVICE[404] if code == 404 else str(err), headers)

    @app.errorhandler(UnknownPageError)
    def nothing_known(err: UnknownPageError) -> Response:
        return _answer(404, _ADVICE[404], unknown=err.word)

    @app.errorhandler(HTTPException)
    def refused(err: HTTPException) -> Response:
        code = err.code or 500
        headers = {405: {"Allow": ALLOWED}, 401: {"WWW-Authenticate": _OPERATOR}}.get(code, {})
        return _answer(code, _ADVICE.get(code, "The request cannot be answered."), headers)

    @app.errorhandler(Exception)
    def broken(err: Exception) -> Response:
        log.error("request failed", exc_info=err, route=str(request.url_rule))
        identity = request.environ[access_log.REQUEST_ID]
        return _answer(500, f"The fault is logged under {identity}; ask again in a moment.")


def _answer(
    code: int, text: str, headers: dict[str, str] | None = None, unknown: str | None = None
) -> Response:
    services: Services = current_app.extensions["bridge"]
    title = _TITLES.get(code, "This cannot be answered")
    path = request.path
    _, dot, suffix = path.rpartition(".")
    form = FORMATS.get(suffix) if dot else None
    if form is not None:
        body, kind = form.error(title, code, text), form.error_type
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
            **CORS,
            **(headers or {}),
        },
    )


def _page(code: int, text: str, unknown: str | None) -> str:
    """The error as a page, in the visitor's language; only *text* is in the bridge's own."""
    visit = _visit()
    embedded = request.path.startswith(security_headers.EMBEDDED)
    words = visit.language.words
    known = f"error_{code}" in words
    return visit.render(
        "error.html",
        here=None,
        embedded=embedded,
        theme=_theme() if embedded else None,
        title=words[f"unknown_{unknown}" if unknown else f"error_{code if known else 'other'}"],
        advice=words["unknown_help" if unknown else f"help_{code if known else 'other'}"],
        text=None if code in _SAID_BY_THE_PAGE else text,
    )


def _theme() -> str | None:
    """That of the page that is not there, if one was asked for."""
    if limits.refusal(request.environ) is not None:
        return None
    asked = request.args.get("theme")
    return asked if asked in ("light", "dark") else None


def _visit() -> PageContext:
    if limits.refusal(request.environ) is None:
        # What is wrong may be the language or the host: then neither is taken from the request.
        with suppress(BridgeError, HTTPException):
            return PageContext.of(request)
    services: Services = current_app.extensions["bridge"]
    return PageContext(request, services, languages.default(), "", "", None)
