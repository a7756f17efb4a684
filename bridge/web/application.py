"""The Flask application: services, routes, error pages and middleware."""

import atexit
import gc
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING

import structlog
from flask import Flask, Request, request
from jinja2 import StrictUndefined
from werkzeug.datastructures import MultiDict
from werkzeug.middleware.proxy_fix import ProxyFix

from bridge import background, cli, config, local_run
from bridge.config import Config
from bridge.errors import ConfigError
from bridge.ops import log_config
from bridge.ops.log_stream import STDERR
from bridge.param_values import without_html_entities
from bridge.services import Services, SharedServices, build
from bridge.store.interface import BACKGROUND_TIMEOUT, REQUEST_TIMEOUT, TIMEOUT
from bridge.web import api_routes, assets, error_pages, feed_routes, operator_routes
from bridge.web.asgi import Asgi
from bridge.web.middleware import access_log, security_headers
from bridge.web.middleware.access_log import AccessLog
from bridge.web.pages import change_page, embed, routes
from bridge.web.pages.page_cache import PageCache
from bridge.web.routing import CONVERTERS
from bridge.web.sites import Site, SiteDispatcher, Sites

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = structlog.get_logger()


def create_app(services: Services | None = None) -> Flask:
    """Create the application.

    If the settings are not valid, the process exits with one line that names the variable. Under
    ``flask`` the commands are available all the same, because ``check`` reports what is wrong.

    Args:
        services: the services of one studio; by default they are built from the settings.
    """
    app = Flask("bridge.web", static_folder=None)
    cli.register(app)
    if services is not None:
        _serve_one(app, services)
        return app
    try:
        if _commands_only():
            local_run.adopt()
        server_settings = config.load()
        shared = SharedServices.of(server_settings)
        settings_of_studios = server_settings.studios or (server_settings,)
        studios = [build(settings, shared=shared) for settings in settings_of_studios]
    except ConfigError as err:
        if not _commands_only():
            sys.exit(f"the bridge cannot start. {err}")
        return app
    log_config.configure(server_settings.log_format, server_settings.log_level)
    STDERR.on_drop = shared.metrics.log_line_dropped
    if server_settings.studios:
        _serve_many(app, server_settings, shared, studios)
    else:
        _serve_one(app, studios[0])
    if not _commands_only():
        begin = _Once(partial(_start, server_settings, app.extensions["sites"]))
        app.extensions["begin"] = begin
        app.wsgi_app = _beginning(app.wsgi_app, begin)  # type: ignore[assignment, method-assign]  # as below
    return app


def create_asgi(app: Flask) -> Asgi | None:
    """The ASGI application for *app*; None if *app* has no services, only its commands."""
    return Asgi(app) if "sites" in app.extensions else None


class _Once:
    """Calls *action* at the first call only."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._pending = deque([action])

    def __call__(self) -> None:
        if self._pending:
            with suppress(IndexError):
                self._pending.pop()()


def _beginning(app: "WSGIApplication", begin: Callable[[], None]) -> "WSGIApplication":
    """*app*, whose first request starts the background tasks of its process.

    Loading the application starts no thread and opens no file, because a server may load it in one
    process and fork others (``gunicorn --preload``): a fork has none of the threads.
    """

    def begun(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        begin()
        return app(environ, start)

    return begun


def _start(server_settings: Config, sites: Sites) -> None:
    """Start the background tasks, and stop them when the process exits."""
    common = list(config.warnings_about(server_settings))
    for text in common:
        log.warning("settings", text=text)
    for settings in server_settings.studios:
        with background.working_for(settings.slug):
            for text in config.warnings_about(settings):
                if text not in common:
                    log.warning("settings", text=text)
    # Exclude the objects created so far from garbage collection, which would delay responses.
    gc.collect()
    gc.freeze()
    sites.start()
    atexit.register(sites.close)


def _serve_one(app: Flask, services: Services) -> None:
    """Make *app* the application of the only studio."""
    site = Site(services, lambda _: app)
    app.extensions["sites"] = Sites([site])
    app.extensions["server"] = services.config
    app.extensions["access_log"] = site.access_log
    app.register_blueprint(operator_routes.server)
    _configure(app, site)
    app.wsgi_app = _behind_proxies(app.wsgi_app, services.config)  # type: ignore[assignment, method-assign]  # as Flask documents it


def _serve_many(
    app: Flask, server_settings: Config, shared: SharedServices, studios: Iterable[Services]
) -> None:
    """Make *app* answer for the server, and call the applications of the studios."""
    sites = Sites(Site(services, _studio_app) for services in studios)
    access_logger = AccessLog(shared.metrics, None, server_settings.log_requests)
    app.extensions["sites"] = sites
    app.extensions["server"] = server_settings
    app.extensions["access_log"] = access_logger
    app.register_blueprint(operator_routes.server)
    app.register_blueprint(operator_routes.elsewhere)
    error_pages.register_plain(app)
    security_headers.register(app)
    _record_routes(app)
    dispatcher = SiteDispatcher(sites, access_logger.middleware(app.wsgi_app))
    app.wsgi_app = _behind_proxies(dispatcher, server_settings)  # type: ignore[assignment, method-assign]  # as above


def _studio_app(site: Site) -> Flask:
    app = Flask("bridge.web", static_folder=None)
    _configure(app, site)
    return app


def _configure(app: Flask, site: Site) -> None:
    """Add the routes, error pages and middleware of one studio to *app*."""
    services = site.services
    app.request_class = _Request
    app.extensions["bridge"] = services
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    app.url_map.converters.update(CONVERTERS)
    app.extensions["pages"] = PageCache(
        services.shared.page_memory,
        services.first_renders,
        services.last_modified,
        services.metrics,
    )
    # Otherwise half of a page would be the indentation of its template.
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.undefined = StrictUndefined
    for module in (feed_routes, api_routes, routes, change_page, embed, operator_routes):
        app.register_blueprint(module.blueprint)
    assets.register(app, services.config.studio_logo)
    _limit_store_waits(app)
    _record_routes(app)
    error_pages.register(app)
    security_headers.register(app)
    app.wsgi_app = site.access_log.middleware(app.wsgi_app)  # type: ignore[assignment, method-assign]  # as above


def _behind_proxies(app: "WSGIApplication", settings: Config) -> "WSGIApplication":
    """*app* with the addresses that the trusted proxies state."""
    hops = settings.trusted_proxies
    if not hops:
        return app
    return ProxyFix(
        _lower_case_scheme(app), x_for=hops, x_proto=hops, x_host=hops, x_port=hops, x_prefix=hops
    )


def _lower_case_scheme(app: "WSGIApplication") -> "WSGIApplication":
    """Normalise the scheme that a proxy states: schemes are case-insensitive (RFC 3986, 3.1)."""

    def normalised(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        environ["wsgi.url_scheme"] = environ["wsgi.url_scheme"].lower()
        return app(environ, start)

    return normalised


def _commands_only() -> bool:
    """Whether Flask's command line loads the application, not a server."""
    return os.environ.get("FLASK_RUN_FROM_CLI") == "true"


def _limit_store_waits(app: Flask) -> None:
    """Use the short timeout for store operations during a request."""

    @app.before_request
    def shorten() -> None:
        TIMEOUT.set(REQUEST_TIMEOUT)

    @app.teardown_request
    def restore(_: BaseException | None) -> None:
        TIMEOUT.set(BACKGROUND_TIMEOUT)


def _record_routes(app: Flask) -> None:
    """Record the URL rule of each request for the access log."""

    @app.before_request
    def record() -> None:
        if request.url_rule is not None:
            request.environ[access_log.ROUTE_KEY] = request.url_rule.rule


class _Request(Request):
    """A request in whose query ``&amp;`` means ``&``."""

    @cached_property
    def args(self) -> MultiDict[str, str]:
        """The query parameters."""
        pairs = super().args.items(multi=True)
        return self.parameter_storage_class(without_html_entities(pairs))
