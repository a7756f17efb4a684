"""Sites: the web application of each studio, chosen by the host or the path of a request.

    site, prefix = sites.find("calendar.studio.example", "/venues/12.ics")
    app = SiteDispatcher(sites, fallback)  # WSGI

A bridge of one studio has one site, which answers every request. With ``STUDIOS`` a site answers
at the host names of its studio, and elsewhere below ``/s/<slug>``. At a studio's host there is no
other studio.
"""

import re
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from flask import Flask

from bridge import background
from bridge.config import STUDIOS_PATH
from bridge.services import Services, SharedServices
from bridge.web.middleware.access_log import AccessLog
from bridge.web.middleware.response_cache import ResponseCache
from bridge.web.site_address import STUDIO_PREFIX

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SERVER_PATHS = frozenset(("/metrics",))
"""Paths at every host that belong to no studio."""


class Site:
    """One studio's services, web application and cached responses.

    Args:
        make_app: creates the application, for the first request that needs it.

    Attributes:
        access_log: of the application, and of responses that are sent without it.
    """

    def __init__(self, services: Services, make_app: "Callable[[Site], Flask]") -> None:
        self.services = services
        config = services.config
        self.access_log = AccessLog(
            services.metrics, services.usage, config.log_requests, studio=config.slug
        )
        services.periodic.add(self.access_log.log_summary)
        self.responses = ResponseCache(
            services.clock,
            memory=services.shared.response_memory,
            change_token=lambda: services.refresher.generation,
        )
        self._make_app = make_app
        self._lock = threading.Lock()
        self._app: Flask | None = None

    @property
    def app(self) -> Flask:
        """The Flask application."""
        if self._app is None:
            with self._lock:
                if self._app is None:
                    self._app = self._make_app(self)
        return self._app


class Sites:
    """All sites of this process."""

    def __init__(self, sites: Iterable[Site]) -> None:
        self.all: Sequence[Site] = tuple(sites)
        self.by_slug = {site.services.config.slug: site for site in self.all}
        self._by_host = {host: site for site in self.all for host in site.services.config.hosts}

    @property
    def shared(self) -> SharedServices:
        """What the studios share."""
        return self.all[0].services.shared

    @property
    def many(self) -> bool:
        """Whether several studios may share this process."""
        return "" not in self.by_slug

    def find(self, host: str, path: str) -> tuple[Site | None, str]:
        """The site of a request, and the part of *path* that names it.

        Args:
            host: the value of the ``Host`` header, or of the header that a trusted proxy sets.
        """
        if not self.many:
            return self.by_slug[""], ""
        if path in SERVER_PATHS:
            return None, ""
        site = self._by_host.get(_host_name(host))
        if site is not None:
            return site, ""
        if path.startswith(STUDIOS_PATH):
            slug = path.removeprefix(STUDIOS_PATH).partition("/")[0]
            return self.by_slug.get(slug), STUDIOS_PATH + slug
        return None, ""

    def start(self) -> None:
        """Start the background threads of all sites."""
        for site in self.all:
            with background.working_for(site.services.config.slug):
                site.services.start()

    def stop_refreshing(self) -> None:
        """Cancel all walks, so that no request waits for them."""
        # First all of them, because each is waited for below.
        for site in self.all:
            site.services.refresher.stop()
            site.services.client.close()
        for site in self.all:
            site.services.stop_refreshing()

    def close(self) -> None:
        """Stop the services of all sites."""
        self.stop_refreshing()
        # First all of them, so that receivers that hang are waited for at the same time.
        for site in self.all:
            site.services.finish()
        for site in self.all:
            site.services.close()
        if self.many:
            self.shared.store.close()


class SiteDispatcher:
    """A WSGI application that calls the one of the studio of each request.

    Args:
        fallback: for requests that belong to no studio.
    """

    def __init__(self, sites: Sites, fallback: "WSGIApplication") -> None:
        self._sites = sites
        self._fallback = fallback

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer one request; the part of the path that names the studio becomes its prefix."""
        path = environ.get("PATH_INFO", "")
        site, prefix = self._sites.find(environ.get("HTTP_HOST", ""), path)
        if site is None:
            return self._fallback(environ, start_response)
        # Some proxies state their prefix with a slash at its end.
        environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "").rstrip("/") + prefix
        environ["PATH_INFO"] = path.removeprefix(prefix) or "/"
        environ[STUDIO_PREFIX] = prefix
        with background.working_for(site.services.config.slug):
            return site.app.wsgi_app(environ, start_response)


def _host_name(host: str) -> str:
    """*host* without a port, in lower case."""
    # A proxy may state a port that is not a number. werkzeug's ProxyFix puts it after the host.
    return re.sub(r":[^:\]]*\Z", "", host).rstrip(".").lower()
