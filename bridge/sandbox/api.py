"""The API: the upstream's listing of course sessions, as a Flask application."""

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
from bridge.sandbox.faults import Faults, Strike
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
    """The API of one studio, as upstream documents it.

    Args:
        studio: may be changed while requests are answered.
        token: the one that is accepted, after one of *schemes*.
        provider_id: what ``TeamUp-Provider-ID`` must say; None asks for no such header.
        modes: those that the credentials reach; the first is the default.
        multiple_modes: whether ``Teamup-Request-Mode`` is required.
        permissions: the token's; without any of the five that count, everything is 403.
        requests_per_minute: over that, within any sixty seconds, 429.
        clock: seconds, monotonic; read by the rate limit alone.
        base_path: where the API begins.
        faults: what goes wrong; also switched at ``/_sandbox/faults``.
        dialect: how parameters are understood; by default as the bridge expects it.
    """
    app = Flask(__name__)
    app.config[BASE_PATH_SETTING] = base_path
    gate = Authenticator(token, schemes, provider_id, tuple(modes), multiple_modes, permissions)
    limit = RateLimit(requests_per_minute, clock)
    faults = faults or Faults()
    dialect = dialect or Dialect()

    @app.get(f"{base_path}/course_sessions")
    def course_sessions() -> Response:
        strike = faults.strike(request.args.get("page", "1"))
        if (instead := strike.instead()) is not None:
            return instead
        mode = gate.admit(request.headers)
        limit.count()
        query = ListParams.parse(strike.arguments(request.args), dialect)
        return strike.response(_page(studio.tables(), query, mode, strike, base_path))

    app.register_blueprint(create_controls(faults))
    app.register_error_handler(ApiError, ApiError.response)
    app.register_error_handler(HTTPException, _refuse)
    # Flask's documented place for middleware.
    app.wsgi_app = _tolerate_slashes(app.wsgi_app)  # type: ignore[assignment, method-assign]
    return app


def _page(tables: Tables, query: ListParams, mode: str, strike: Strike, base_path: str) -> Row:
    representation = Serializer(
        tables,
        f"{request.host_url.rstrip('/')}{base_path}/related_collection",
        expansion_tree(query.expand),
        field_tree(query.fields),
    )
    rows = query.select(tables)
    if mode == "customer":
        rows = [row for row in rows if _for_customers(tables.offering_type(row))]
    rows = strike.selection(rows)
    first = (query.page - 1) * query.page_size
    if first and first >= len(rows):
        raise ApiError(404, "Invalid page.")
    shown = rows[first : first + query.page_size]
    return strike.envelope(
        {
            "count": len(rows),
            "next": _address(query.page + 1) if first + len(shown) < len(rows) else None,
            "previous": _address(query.page - 1) if first else None,
            "results": [representation.session(row) for row in shown],
        }
    )


def _for_customers(offering_type: Row | None) -> bool:
    return (
        offering_type is not None
        and offering_type["customer_visibility"] == "public"
        and not offering_type["is_draft"]
    )


def _address(page: int) -> str:
    """This request's absolute address, for another page."""
    args = [pair for pair in request.args.items(multi=True) if pair[0] != "page"]
    return f"{request.base_url}?{urlencode([*args, ('page', page)])}"


def _refuse(err: HTTPException) -> Response:
    return ApiError(err.code or 500).response()


def _tolerate_slashes(app: "WSGIApplication") -> "WSGIApplication":
    """Doubled and trailing slashes make no difference, and no redirect."""

    def tolerant(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = re.sub("/{2,}", "/", environ["PATH_INFO"])
        environ["PATH_INFO"] = path.rstrip("/") or "/"
        return app(environ, start_response)

    return tolerant
