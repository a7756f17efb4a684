"""TeamUp's list endpoint for course sessions, as a Flask application."""

import re
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from bridge.sandbox.api_error import ApiError
from bridge.sandbox.auth import Authenticator, RateLimit
from bridge.sandbox.fault_controls import create_controls
from bridge.sandbox.faults import Faults, RequestFaults
from bridge.sandbox.list_params import Dialect, ListParams
from bridge.sandbox.records import Row
from bridge.sandbox.serializer import Serializer, expansion_tree, field_tree
from bridge.sandbox.studio import Studio, Tables

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

TOKEN = "sandbox-token"  # noqa: S105 - made up, and public
BASE_PATH = "/api/v2"
BASE_PATH_SETTING = "SANDBOX_BASE_PATH"


def create_api(
    studio: Studio,
    *,
    token: str = TOKEN,
    provider_id: str | None = None,
    modes: Sequence[str] = ("provider", "customer"),
    multiple_modes: bool = False,
    permissions: frozenset[str] = frozenset({"manage_events"}),
    schemes: tuple[str, ...] = ("Bearer",),
    requests_per_minute: int = 250,
    clock: Callable[[], float] = time.monotonic,
    base_path: str = BASE_PATH,
    faults: Faults | None = None,
    dialect: Dialect | None = None,
) -> Flask:
    """Create the API of one studio, as TeamUp documents it.

    Args:
        studio: may be changed while requests are processed.
        token: the accepted token, sent after one of *schemes*.
        provider_id: the required value of ``TeamUp-Provider-ID``; None: the header is optional.
        modes: the request modes that the token may use; the first is the default.
        multiple_modes: whether ``Teamup-Request-Mode`` is required.
        permissions: the token's; without one of `REQUIRED_PERMISSIONS` every answer is 403.
        requests_per_minute: above this number in any sixty seconds the answer is 429.
        clock: monotonic, in seconds; used by the rate limit only.
        base_path: URL path of the API's root.
        faults: simulated failures; also controlled at ``/_sandbox/faults``.
        dialect: how query parameters are parsed; by default as the bridge expects.
    """
    app = Flask(__name__)
    app.config[BASE_PATH_SETTING] = base_path
    authenticator = Authenticator(
        token, schemes, provider_id, tuple(modes), multiple_modes, permissions
    )
    rate_limit = RateLimit(requests_per_minute, clock)
    faults = faults or Faults()
    dialect = dialect or Dialect()

    @app.get(f"{base_path}/course_sessions")
    def course_sessions() -> Response:
        active = faults.for_request(request.args.get("page", "1"))
        if (replacement := active.replacement()) is not None:
            return replacement
        mode = authenticator.authorize(request.headers)
        rate_limit.hit()
        params = ListParams.parse(active.effective_args(request.args), dialect)
        return active.make_response(_page(studio.tables(), params, mode, active, base_path))

    app.register_blueprint(create_controls(faults))
    app.register_error_handler(ApiError, ApiError.response)
    app.register_error_handler(HTTPException, _http_error)
    # Flask's documented place for middleware.
    app.wsgi_app = _normalise_slashes(app.wsgi_app)  # type: ignore[assignment, method-assign]
    return app


def _page(
    tables: Tables, params: ListParams, mode: str, faults: RequestFaults, base_path: str
) -> Row:
    serializer = Serializer(
        tables,
        f"{request.host_url.rstrip('/')}{base_path}/related_collection",
        expansion_tree(params.expand),
        field_tree(params.fields),
    )
    rows = params.select(tables)
    if mode == "customer":
        rows = [row for row in rows if _is_public(tables.offering_type(row))]
    rows = faults.listed_rows(rows)
    start = (params.page - 1) * params.page_size
    if start and start >= len(rows):
        raise ApiError(404, "Invalid page.")
    page_rows = rows[start : start + params.page_size]
    return faults.altered_page(
        {
            "count": len(rows),
            "next": _page_url(params.page + 1) if start + len(page_rows) < len(rows) else None,
            "previous": _page_url(params.page - 1) if start else None,
            "results": [serializer.session(row) for row in page_rows],
        }
    )


def _is_public(offering_type: Row | None) -> bool:
    return (
        offering_type is not None
        and offering_type["customer_visibility"] == "public"
        and not offering_type["is_draft"]
    )


def _page_url(page: int) -> str:
    """Absolute URL of another page of the current request."""
    args = [pair for pair in request.args.items(multi=True) if pair[0] != "page"]
    return f"{request.base_url}?{urlencode([*args, ('page', page)])}"


def _http_error(err: HTTPException) -> Response:
    return ApiError(err.code or 500).response()


def _normalise_slashes(app: "WSGIApplication") -> "WSGIApplication":
    """Ignore doubled and trailing slashes, without a redirect."""

    def wrapped(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = re.sub("/{2,}", "/", environ["PATH_INFO"])
        environ["PATH_INFO"] = path.rstrip("/") or "/"
        return app(environ, start_response)

    return wrapped
