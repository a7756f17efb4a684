"""The routes for machines that look after the bridge."""

import hmac
import json
from collections.abc import Mapping

from flask import Blueprint, Response, abort, current_app, request

from bridge.feeds.feed import Body
from bridge.ops.metrics import CONTENT_TYPE
from bridge.services import Services
from bridge.web.middleware import security_headers
from bridge.web.pages import status_page
from bridge.web.pages.page_context import PageContext
from bridge.web.representation import Representation, answer

blueprint = Blueprint("operations", __name__)

_UNKEPT = {"Cache-Control": "no-store", "Vary": "Accept, Accept-Language, Authorization"}
_HTML = "text/html; charset=utf-8"
_PLAIN = {"Content-Type": "text/plain; charset=utf-8"}
_PROBE = {**security_headers.SAFE, **_PLAIN, "Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
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
    """The status, body and headers of a probe's answer.

    ``/healthz`` is liveness: the process answers. ``/readyz`` is readiness: it can answer feeds; an
    upstream that is down does not change that.
    """
    return 200, {"/healthz": b"ok\n", "/readyz": b"ready\n"}[path], _PROBE


@blueprint.route("/healthz")
@blueprint.route("/readyz")
def probes() -> Response:
    """Liveness and readiness, where no ASGI server answers them by itself."""
    status, body, headers = probe(request.path)
    return Response(body, status, headers)


@blueprint.route("/robots.txt")
def robots() -> Response:
    """Closes nothing: Google's importer of calendars obeys it."""
    return answer(request, _ROBOTS)


@blueprint.route("/status")
def status() -> Response:
    """How things stand, for the owner: 404 unless there is a token for it."""
    services = _for_operators()
    standing = services.report.standing()
    if _wants_json():
        body = json.dumps(status_page.as_json(standing), ensure_ascii=False, indent=1) + "\n"
        return Response(body, headers={**_UNKEPT, "Content-Type": "application/json"})
    headers = security_headers.page_headers(request.path, services.config.embed_allowed_origins)
    page = status_page.render(PageContext.of(request), standing)
    return Response(page, headers={**headers, **_UNKEPT, "Content-Type": _HTML})


def _wants_json() -> bool:
    """Whether the address asks for JSON, or else whether the reader likes it better than a page."""
    asked = request.args.get("format")
    if asked in ("json", "html"):
        return asked == "json"
    kinds = ("text/html", "application/json")
    return request.accept_mimetypes.best_match(kinds, kinds[0]) == kinds[1]


@blueprint.route("/metrics")
def metrics() -> Response:
    """For Prometheus: 404 unless there is a token for it."""
    services = _for_operators()
    headers = {"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"}
    return Response(services.metrics.exposition(), headers=headers)


def _for_operators() -> Services:
    """The services, for whoever has the operator's token; anybody in the sandbox."""
    services: Services = current_app.extensions["bridge"]
    token = services.config.operator_token
    if token is None:
        if services.config.sandbox:
            return services
        abort(404)
    given = request.authorization
    said = (given.token or given.password or "") if given else ""
    if not hmac.compare_digest(said.encode(), token.encode()):
        abort(401)
    return services
