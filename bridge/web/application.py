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

from bridge import cli, config, logs, services
from bridge.cache.hurry import HURRY
from bridge.errors import ConfigError
from bridge.feeds.spec import Format
from bridge.filters import MAX_ID
from bridge.services import Services
from bridge.web import assets, embed, errors, feeds, operations, pages, security, traffic
from bridge.web.goodbye import Goodbye
from bridge.web.httpcache import HttpCache
from bridge.web.lane import Around, Lane
from bridge.web.limits import Limits
from bridge.web.negotiation import VARYING
from bridge.web.page_responses import Pages
from bridge.web.responses import FAILED, STALE, TRIMMED
from bridge.web.traffic import Traffic

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
    logs.configure(parts.config)
    _put_together(app, parts)
    if not _commands_only():
        _serve(parts)
    return app


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
    app.extensions["pages"] = Pages(parts.turns)
    # Half of a page would be the indentation of its template.
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    for area in (feeds, pages, embed, assets, operations):
        app.register_blueprint(area.blueprint)
    _hurry(app)
    _note_routes(app)
    errors.register(app)
    security.register(app)
    kept = None
    if most := parts.config.cache_max_bytes:
        kept = HttpCache(
            app.wsgi_app,
            parts.clock,
            max_bytes=most // 2,
            # the shelf looks at the store as often
            again=1.0,
            news=lambda: parts.refresher.changes,
            varying=VARYING,
            keep=(traffic.ROUTE, traffic.FEED),
            details=(STALE, FAILED, TRIMMED),
        )
        app.wsgi_app = Limits(kept, app.wsgi_app)  # type: ignore[method-assign]  # Flask's way
    app.wsgi_app = watched = Traffic(  # type: ignore[method-assign]  # as above
        app.wsgi_app,
        counts=parts.metrics.requests,
        readers=parts.readers,
        which=parts.config.log_requests,
    )
    parts.rounds.add(watched.sum_up)
    around = _behind(parts.config.trusted_proxies)
    app.wsgi_app = Goodbye(around(app.wsgi_app))  # type: ignore[method-assign]  # as above
    if kept is not None:
        app.extensions["lane"] = Lane(kept, watched, around)


def _behind(proxies: int) -> Around:
    """The layer that believes what so many proxies say; none, where there are none."""
    return lambda app: (
        ProxyFix(
            app, x_for=proxies, x_proto=proxies, x_host=proxies, x_port=proxies, x_prefix=proxies
        )
        if proxies
        else app
    )


def _commands_only() -> bool:
    """Whether Flask's command line loads the application, and not a server."""
    return os.environ.get("FLASK_RUN_FROM_CLI") == "true"


def _hurry(app: Flask) -> None:
    """Let nothing slow hold up a visitor."""

    @app.before_request
    def hurry() -> None:
        HURRY.on = True

    @app.teardown_request
    def rest(_: BaseException | None) -> None:
        HURRY.on = False


def _note_routes(app: Flask) -> None:
    """Tell the layers around *app* which rule a request matched."""

    @app.before_request
    def note() -> None:
        if request.url_rule is not None:
            request.environ[traffic.ROUTE] = request.url_rule.rule


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

    regex = "|".join(one.value for one in Format)

    def to_python(self, value: str) -> Format:
        """The form."""
        return Format(value)

    def to_url(self, value: Format) -> str:
        """Its spelling."""
        return value.value
