"""The routes for programs: the catalogue, and the description of the API."""

import json
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, abort, current_app, request

from bridge.feeds.feed import Body
from bridge.feeds.params import feed_spec, reject_parameters
from bridge.feeds.spec import Kind
from bridge.services import Services
from bridge.web import feed_responses
from bridge.web.catalogue_document import catalogue_document
from bridge.web.openapi import openapi_document
from bridge.web.pages.page_cache import Page, PageCache
from bridge.web.representation import Freshness, Representation, respond
from bridge.web.site_address import base_address, link_base

blueprint = Blueprint("api", __name__)
blueprint.after_request(feed_responses.add_preflight_headers)

_JSON = [("Content-Type", "application/json")]
_HOUR = 3600


@blueprint.route("/catalogue.json")
def catalogue() -> Response:
    """What there are feeds of; 404 if the catalogue is switched off."""
    services: Services = current_app.extensions["bridge"]
    pages: PageCache = current_app.extensions["pages"]
    config, defaults = services.config, services.defaults
    if not config.catalog:
        abort(404)
    reject_parameters(request.args.items(multi=True))
    base = base_address(request, config.public_base_url)
    lookup = services.router.find(feed_spec(Kind.SESSION, None, (), defaults).filter_set)
    now = services.store.now()
    body = pages.get(
        ("catalogue", base),
        lookup.version,
        datetime.fromtimestamp(now, UTC),
        lookup.snapshot.newest_walk_at,
        lambda: Page(catalogue_document(lookup.snapshot, base, defaults)),
    )
    freshness = Freshness.of(lookup)
    return _respond(body, feed_responses.cache_control(config), freshness=freshness, made_at=now)


@blueprint.route("/openapi.json")
def description() -> Response:
    """The description of the API (OpenAPI)."""
    services: Services = current_app.extensions["bridge"]
    pages: PageCache = current_app.extensions["pages"]
    config = services.config
    reject_parameters(request.args.items(multi=True))
    server = link_base(request, config.public_base_url)

    def render() -> Page:
        document = openapi_document(services.defaults, server=server, catalogue=config.catalog)
        return Page(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")

    now = services.store.now()
    body = pages.get(("openapi", server), None, datetime.fromtimestamp(now, UTC), 0.0, render)
    return _respond(body, f"public, max-age={_HOUR}", max_age=_HOUR)


def _respond(body: Body, cache_control: str, **lifetime: Any) -> Response:
    services: Services = current_app.extensions["bridge"]
    headers = {"Cache-Control": cache_control, **feed_responses.SHARED_HEADERS}
    representation = Representation(
        body,
        headers=[*headers.items()],
        content=_JSON,
        accel=bool(services.config.trusted_proxies),
        **lifetime,
    )
    return respond(request, representation)
