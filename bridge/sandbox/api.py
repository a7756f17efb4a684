"""TeamUp's list endpoints, as a Flask application."""

import re
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from bridge.sandbox.api_error import ApiError
from bridge.sandbox.auth import ANONYMOUS, Authenticator, RateLimit
from bridge.sandbox.endpoints import ENDPOINTS, EVENTS, ListEndpoint
from bridge.sandbox.faults import Faults, RequestFaults
from bridge.sandbox.list_params import Dialect, ListParams
from bridge.sandbox.records import Row
from bridge.sandbox.serializer import Serializer, expansion_tree, field_tree
from bridge.sandbox.studio import Studio, Tables

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

TOKEN = "sandbox-token"  # noqa: S105 - made up, and public
SIGNING_KEY = "sandbox-signing-key"
"""For private feeds of a bridge that serves the sandbox; public as well."""
PROVIDER_ID, PROVIDER_NAME = "123", "Riverside Movement"
BASE_PATH = "/api/v2"

PUBLIC_PAST = timedelta(days=3)
"""How long a past class stays visible to customers."""

_NOT_PUBLIC = {
    "event": frozenset({"small_session_attendances"}),
    "offering_type": frozenset({"customer_visibility"}),
}


def _utc_now() -> datetime:
    return datetime.now(UTC)


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
    faults: Faults | None = None,
    dialect: Dialect | None = None,
    anonymous: bool = False,
    anonymous_lists: Collection[str] = (EVENTS.path,),
    now: Callable[[], datetime] = _utc_now,
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
        faults: simulated failures.
        dialect: how query parameters are parsed; by default as the bridge expects.
        anonymous: whether a request without a token, but with ``TeamUp-Provider-ID``, is answered
            with what the studio's public page shows.
        anonymous_lists: the paths of the lists that can be read so.
        now: the current time; decides what customers see, and anonymous readers.
    """
    app = Flask(__name__)
    authenticator = Authenticator(
        token, schemes, provider_id, tuple(modes), multiple_modes, permissions
    )
    rate_limit = RateLimit(requests_per_minute, clock)
    faults = faults or Faults()
    dialect = dialect or Dialect()

    def list_rows(endpoint: ListEndpoint) -> Response:
        active = faults.for_request(request.args.get("page", "1"), endpoint)
        if (replacement := active.replacement()) is not None:
            return replacement
        public = anonymous and endpoint.path in anonymous_lists
        mode = authenticator.authorize(request.headers, anonymous=public)
        rate_limit.hit()
        params = ListParams.parse(active.effective_args(request.args), dialect, endpoint)
        tables = studio.tables()
        rows = _visible_rows(params.select(tables), tables, mode, endpoint, now)
        return active.make_response(_page(rows, params, active, _serializer(tables, params, mode)))

    def provider(identity: int) -> Row:
        authenticator.authorize(request.headers, anonymous=anonymous)
        rate_limit.hit()
        return {"object": "provider", "id": identity, "name": PROVIDER_NAME}

    for endpoint in ENDPOINTS:
        view = partial(list_rows, endpoint)
        app.add_url_rule(f"{BASE_PATH}/{endpoint.path}", endpoint.path, view, methods=["GET"])
    app.add_url_rule(f"{BASE_PATH}/providers/<int:identity>", view_func=provider)
    app.register_error_handler(ApiError, ApiError.response)
    app.register_error_handler(HTTPException, _http_error)
    # Flask's documented place for middleware.
    app.wsgi_app = _normalise_slashes(app.wsgi_app)  # type: ignore[assignment, method-assign]
    return app


def _serializer(tables: Tables, params: ListParams, mode: str) -> Serializer:
    expand = expansion_tree(params.expand, params.endpoint.object)
    return Serializer(
        tables,
        f"{request.host_url.rstrip('/')}{BASE_PATH}/related_collection",
        expand,
        field_tree(params.fields, expand if params.endpoint.expand_includes else None),
        params.endpoint,
        _NOT_PUBLIC if mode == ANONYMOUS else {},
    )


def _page(
    rows: list[Row], params: ListParams, faults: RequestFaults, serializer: Serializer
) -> Row:
    rows = faults.listed_rows(rows)
    start = (params.page - 1) * params.page_size
    if start and start >= len(rows):
        raise ApiError(404, "Invalid page.")
    page_rows = rows[start : start + params.page_size]
    return {
        "count": len(rows),
        "next": _page_url(params.page + 1) if start + len(page_rows) < len(rows) else None,
        "previous": _page_url(params.page - 1) if start else None,
        "results": faults.alter([serializer.session(row) for row in page_rows]),
    }


def _visible_rows(
    rows: list[Row],
    tables: Tables,
    mode: str,
    endpoint: ListEndpoint,
    now: Callable[[], datetime],
) -> list[Row]:
    """The rows that a request mode may see."""
    if mode not in ("customer", ANONYMOUS):
        return rows
    current = now()
    rows = [row for row in rows if _is_public(row, tables, current)]
    if mode == ANONYMOUS or endpoint.hides_past:
        oldest = current - PUBLIC_PAST
        rows = [row for row in rows if (tables.instant(row, "starts_at") or current) >= oldest]
    return rows


def _is_public(row: Row, tables: Tables, now: datetime) -> bool:
    """Whether the studio's public page shows a class."""
    offering_type = tables.offering_type(row)
    if offering_type is None or row.get("is_appointment") in (True, "true"):
        return False
    timelines = row.get("overriden_registration_timelines") or offering_type.get(
        "registration_timelines"
    )
    calendar_opens_at = tables.instant(row, "calendar_opens_at")
    return (
        offering_type.get("customer_visibility") == "public"
        and not offering_type["is_draft"]
        and (calendar_opens_at is None or calendar_opens_at <= now)
        and (not timelines or any(item["audience_type"] == "everyone" for item in timelines))
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
