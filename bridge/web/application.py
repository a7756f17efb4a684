"""The Flask application: routes, errors, and the parts behind them."""

import atexit
import gc
import os
import re
import sys

import structlog
from flask import Flask, request
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter, ValidationError

from bridge import cli, config, services
from bridge.errors import ConfigError
from bridge.feeds.formats import FORMATS
from bridge.feeds.formats.base import Format
from bridge.filters import MAX_ID
from bridge.ops import log_config
from bridge.ops.log_stream import STDERR
from bridge.services import Services
from bridge.store.interface import BACKGROUND_TIMEOUT, REQUEST_TIMEOUT, TIMEOUT
from bridge.web import assets, error_pages, feed_routes, operator_routes
from bridge.web.asgi import Asgi
from bridge.web.middleware import access_log, security_headers
from bridge.web.middleware.access_log import AccessLog
from bridge.web.pages import embed, routes
from bridge.web.pages.page_cache import PageCache

log = structlog.get_logger()


def create_app(parts: Services | None = None) -> Flask:
    """The application.

    Args:
        parts: a bridge that is put together already; otherwise the environment says which.

    Without usable settings the process ends here, with one line that names the variable; under
    ``flask`` the commands remain, since ``check`` has to say what is wrong.
    """
    app = Flask("bridge.web", static_folder=None)
    cli.register(app)
    if parts is not None:
        _put_together(app, parts)
        return app
    try:
        parts = services.build(config.load())
    except ConfigError as err:
        if not _commands_only():
            sys.exit(f"the bridge cannot start. {err}")
        return app
    log_config.configure(parts.config.log_format, parts.config.log_level)
    STDERR.on_drop = parts.metrics.log_line_dropped
    _put_together(app, parts)
    if not _commands_only():
        _serve(parts)
    return app


def create_asgi(app: Flask) -> Asgi | None:
    """The ASGI application in front of *app*; None where only *app*'s commands can run."""
    return Asgi(app) if "bridge" in app.extensions else None


def _serve(parts: Services) -> None:
    """Begin what runs beside requests, and see to its end."""
    for warning in parts.config.warnings:
        log.warning("settings", text=warning)
    # What is there now stays: to look through it for garbage again and again would hold up answers.
    gc.collect()
    gc.freeze()
    parts.start()
    atexit.register(parts.close)


def _put_together(app: Flask, parts: Services) -> None:
    """Give *app* its routes, and the layers around it."""
    app.extensions["bridge"] = parts
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    app.url_map.converters.update(feed_id=_FeedId, feed_format=_FeedFormat)
    app.extensions["pages"] = PageCache(parts.first_renders)
    # Half of a page would be the indentation of its template.
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    for area in (feed_routes, routes, embed, assets, operator_routes):
        app.register_blueprint(area.blueprint)
    _limit_store_waits(app)
    _note_routes(app)
    error_pages.register(app)
    security_headers.register(app)
    logged = AccessLog(
        app.wsgi_app,
        metrics=parts.metrics,
        usage=parts.usage,
        which=parts.config.log_requests,
    )
    parts.periodic.add(logged.sum_up)
    app.extensions["access_log"] = logged
    app.wsgi_app = logged  # type: ignore[method-assign]  # Flask's way
    if hops := parts.config.trusted_proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]  # as above
            app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_port=hops, x_prefix=hops
        )


def _commands_only() -> bool:
    """Whether Flask's command line loads the application, and not a server."""
    return os.environ.get("FLASK_RUN_FROM_CLI") == "true"


def _limit_store_waits(app: Flask) -> None:
    """Give store operations made for a request the short timeout."""

    @app.before_request
    def shorten() -> None:
        TIMEOUT.set(REQUEST_TIMEOUT)

    @app.teardown_request
    def restore(_: BaseException | None) -> None:
        TIMEOUT.set(BACKGROUND_TIMEOUT)


def _note_routes(app: Flask) -> None:
    """Tell the layers around *app* which rule a request matched."""

    @app.before_request
    def note() -> None:
        if request.url_rule is not None:
            request.environ[access_log.ROUTE] = request.url_rule.rule


class _FeedId(BaseConverter):
    """An id, and maybe a slug: for people, and for clients that name a calendar after it."""

    regex = r"[0-9]{1,19}(?:-[^/]*)?"

    def to_python(self, value: str) -> int:
        """The id."""
        digits = re.match(r"[0-9]+", value, re.ASCII)
        if digits is None or int(digits[0]) > MAX_ID:
            raise ValidationError
        return int(digits[0])


class _FeedFormat(BaseConverter):
    """The form that an address ends in."""

    regex = "|".join(FORMATS)

    def to_python(self, value: str) -> Format:
        """The form."""
        return FORMATS[value]

    def to_url(self, value: Format) -> str:
        """Its spelling."""
        return value.suffix
