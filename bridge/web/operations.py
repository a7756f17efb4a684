"""The routes for machines that look after the bridge."""

from flask import Blueprint, Response, abort, current_app, request

from bridge.errors import NotYetError
from bridge.services import Services
from bridge.web.responses import ALLOWED, CORS

blueprint = Blueprint("operations", __name__)

_PLAIN = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}


@blueprint.route("/healthz")
def alive() -> Response:
    """Liveness: the process answers."""
    return Response("ok\n", headers=_PLAIN)


@blueprint.route("/readyz")
def ready() -> Response:
    """Readiness: it can answer feeds. An upstream that is down does not change that."""
    return Response("ready\n", headers=_PLAIN)


@blueprint.route("/robots.txt")
def robots() -> Response:
    """Closes nothing: Google's importer of calendars obeys it."""
    return Response(
        "User-agent: *\nDisallow:\n",
        headers={"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "max-age=86400"},
    )


@blueprint.route("/metrics", endpoint="metrics")
@blueprint.route("/status", endpoint="status")
def later() -> Response:
    """The operator's pages: 404 unless there is a token for them."""
    services: Services = current_app.extensions["bridge"]
    if services.config.operator_token is None and not services.config.sandbox:
        abort(404)
    raise NotYetError("this page is not rendered by this version yet")


@blueprint.after_app_request
def preflight(response: Response) -> Response:
    """Let other origins read feeds, and ask first (the Fetch standard's preflight)."""
    if request.method == "OPTIONS" and response.status_code == 200:
        response.headers.update(CORS)
        response.headers["Access-Control-Allow-Methods"] = ALLOWED
        response.headers["Access-Control-Allow-Headers"] = "*"
        response.headers["Access-Control-Max-Age"] = "86400"
    return response
