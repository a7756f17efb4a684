"""The routes for operation: probes, robots.txt, status and metrics."""

import hmac
import json
from collections.abc import Iterable, Mapping

from flask import Blueprint, Response, abort, current_app, request
from werkzeug.datastructures import Authorization

from bridge import __version__
from bridge.config import Config
from bridge.feeds.feed import Body
from bridge.ops.metrics import CONTENT_TYPE
from bridge.services import Services
from bridge.web.middleware import security_headers
from bridge.web.pages import status_page
from bridge.web.pages.page_context import PageContext
from bridge.web.representation import Representation, respond
from bridge.web.sites import Sites

blueprint = Blueprint("operations", __name__)
"""The routes of a studio."""

server = Blueprint("server", __name__)
"""The routes of the whole server."""

elsewhere = Blueprint("elsewhere", __name__)
"""The routes of a server of several studios at addresses that belong to none."""

_NO_STORE = {"Cache-Control": "no-store", "Vary": "Accept, Accept-Language, Authorization"}
_HTML = "text/html; charset=utf-8"
_PLAIN = {"Content-Type": "text/plain; charset=utf-8"}
PLAIN_NO_STORE = {
    **security_headers.SAFE,
    **_PLAIN,
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
}
_ALIVE = f"ok {__version__}\n".encode()
_DAY = 86_400
_ROBOTS = Representation(
    Body.of(b"User-agent: *\nDisallow:\n", changed=0.0),
    headers=[
        *security_headers.SAFE.items(),
        ("Cache-Control", f"max-age={_DAY}"),
        ("Vary", "Accept-Encoding"),
    ],
    content=[*_PLAIN.items()],
    max_age=_DAY,
)


def probe(
    path: str, studios: Iterable[Services], config: Config, authorization: str
) -> tuple[int, bytes, Mapping[str, str]]:
    """The status, body and headers of the response to a probe; never blocks.

    ``/healthz`` is liveness: the process responds, with its version. ``/readyz`` is readiness: it
    can serve feeds of any of the studios, even if upstream is down. Only the operator learns why it
    cannot.

    Args:
        config: the settings with the operator's token.
        authorization: the value of the header; empty without it.
    """
    if path == "/healthz":
        return 200, _ALIVE, PLAIN_NO_STORE
    states = {services.config.slug: services.readiness.probe() for services in studios}
    if any(state.ready for state in states.values()):
        return 200, b"ready\n", PLAIN_NO_STORE
    texts = dict.fromkeys(state.public for state in states.values())
    if _is_operator(config, authorization):
        names = {slug: f"{slug}: " if slug else "" for slug in states}
        texts = dict.fromkeys(f"{names[slug]}{state.detail}" for slug, state in states.items())
    return (
        503,
        "".join(f"{text}\n" for text in texts).encode(),
        {**PLAIN_NO_STORE, "Retry-After": "5"},
    )


@blueprint.route("/healthz")
@blueprint.route("/readyz")
def probes() -> Response:
    """Liveness and readiness, if the ASGI application does not respond itself."""
    services: Services = current_app.extensions["bridge"]
    return _probed([services], services.config)


@elsewhere.route("/healthz")
@elsewhere.route("/readyz")
def probes_of_all() -> Response:
    """Liveness and readiness of all studios, as above."""
    sites: Sites = current_app.extensions["sites"]
    studios = [site.services for site in sites.all]
    return _probed(studios, current_app.extensions["server"])


def _probed(studios: Iterable[Services], config: Config) -> Response:
    status, body, headers = probe(request.path, studios, config, _authorization())
    return Response(body, status, headers)


@blueprint.route("/robots.txt")
@elsewhere.route("/robots.txt")
def robots() -> Response:
    """Allows everything: Google's calendar importer obeys robots.txt."""
    return respond(request, _ROBOTS)


@blueprint.route("/status")
def status() -> Response:
    """The status report, as a page or as JSON; 404 if no operator token is set."""
    services: Services = current_app.extensions["bridge"]
    _require_operator(services.config)
    bridge_status = services.report.status()
    if _wants_json():
        body = json.dumps(status_page.as_json(bridge_status), ensure_ascii=False, indent=1) + "\n"
        return Response(body, headers={**_NO_STORE, "Content-Type": "application/json"})
    headers = security_headers.page_headers(request.path, services.config.embed_allowed_origins)
    page = status_page.render(PageContext.of(request), bridge_status)
    return Response(page, headers={**headers, **_NO_STORE, "Content-Type": _HTML})


def _wants_json() -> bool:
    """Whether ``format`` is JSON or, without it, whether the client prefers JSON to HTML."""
    requested = request.args.get("format")
    if requested in ("json", "html"):
        return requested == "json"
    kinds = ("text/html", "application/json")
    return request.accept_mimetypes.best_match(kinds, kinds[0]) == kinds[1]


@server.route("/metrics")
def metrics() -> Response:
    """The metrics for Prometheus; 404 if no operator token is set."""
    _require_operator(current_app.extensions["server"])
    headers = {"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"}
    sites: Sites = current_app.extensions["sites"]
    return Response(sites.shared.metrics.exposition(), headers=headers)


def _require_operator(config: Config) -> None:
    """Abort unless the request has the operator's token. The sandbox requires no token."""
    if not _is_operator(config, _authorization()):
        abort(404 if config.operator_token is None else 401)


def _authorization() -> str:
    return request.headers.get("Authorization", "")


def _is_operator(config: Config, authorization: str) -> bool:
    """Whether the credentials of a request are the operator's. The sandbox requires none."""
    if config.operator_token is None:
        return config.sandbox
    given = _credentials(authorization)
    return given is not None and hmac.compare_digest(
        (given.token or given.password or "").encode(), config.operator_token.encode()
    )


def _credentials(authorization: str) -> Authorization | None:
    """The parsed value of the header; None if it cannot be parsed."""
    try:
        return Authorization.from_header(authorization)
    except ValueError:  # Basic credentials with a non-ASCII character (werkzeug 3.1)
        return None
