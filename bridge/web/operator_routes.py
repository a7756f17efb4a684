"""The routes for operation: probes, robots.txt, status and metrics."""

import hmac
import json
from collections.abc import Mapping

from flask import Blueprint, Response, abort, current_app, request

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

_NO_STORE = {"Cache-Control": "no-store", "Vary": "Accept, Accept-Language, Authorization"}
_HTML = "text/html; charset=utf-8"
_PLAIN = {"Content-Type": "text/plain; charset=utf-8"}
_PROBE = {**security_headers.SAFE, **_PLAIN, "Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
_ALIVE = f"ok {__version__}\n".encode()
_DAY = 86_400
_ROBOTS = Representation(
    Body.of(b"User-agent: *\nDisallow:\n", changed=0.0, name="robots.txt", sessions=0),
    headers=[
        *security_headers.SAFE.items(),
        ("Cache-Control", f"max-age={_DAY}"),
        ("Vary", "Accept-Encoding"),
    ],
    content=[*_PLAIN.items()],
    max_age=_DAY,
)


def probe(path: str) -> tuple[int, bytes, Mapping[str, str]]:
    """The status, body and headers of the response to a probe.

    ``/healthz`` is liveness: the process responds, with its version. ``/readyz`` is readiness: it
    can serve feeds, even if upstream is down.
    """
    return 200, {"/healthz": _ALIVE, "/readyz": b"ready\n"}[path], _PROBE


@server.route("/healthz")
@server.route("/readyz")
def probes() -> Response:
    """Liveness and readiness, if the ASGI application does not respond itself."""
    status, body, headers = probe(request.path)
    return Response(body, status, headers)


@server.route("/robots.txt")
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
    token = config.operator_token
    if token is None:
        if config.sandbox:
            return
        abort(404)
    credentials = request.authorization
    given = (credentials.token or credentials.password or "") if credentials else ""
    if not hmac.compare_digest(given.encode(), token.encode()):
        abort(401)
