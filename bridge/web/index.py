"""The start page: which feeds there are."""

from flask import Blueprint, Response, current_app, render_template

from bridge.errors import NotYetError
from bridge.feeds.catalogue import catalogue_of
from bridge.filters import FilterSet
from bridge.services import Services
from bridge.web.responses import slug

blueprint = Blueprint("index", __name__, template_folder="templates")


@blueprint.route("/")
def start() -> Response:
    """Links the feeds of every venue, instructor and course that has something public to show."""
    services: Services = current_app.extensions["bridge"]
    found = None
    if services.config.catalog:
        window = FilterSet(past=services.defaults.past, future=services.defaults.future)
        snapshot = services.plan.find(window).snapshot
        sessions = (one.session for one in snapshot.published)
        found = catalogue_of(sessions, services.defaults.audience)
    page = render_template("index.html", catalogue=found, slug=slug, config=services.config)
    return Response(
        page,
        headers={
            "Cache-Control": f"public, max-age={services.config.cache_ttl}",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Content-Security-Policy": "default-src 'none'; style-src 'self'",
        },
    )


@blueprint.route("/venues/<feed_id:identity>", endpoint="venue")
@blueprint.route("/instructors/<feed_id:identity>", endpoint="instructor")
@blueprint.route("/courses/<feed_id:identity>", endpoint="course")
@blueprint.route("/sessions", endpoint="sessions", defaults={"identity": None})
@blueprint.route("/embed/venues/<feed_id:identity>", endpoint="embedded_venue")
@blueprint.route("/embed/instructors/<feed_id:identity>", endpoint="embedded_instructor")
@blueprint.route("/embed/courses/<feed_id:identity>", endpoint="embedded_course")
@blueprint.route("/embed/sessions", endpoint="embedded_sessions", defaults={"identity": None})
def later(identity: int | None) -> Response:
    """The pages for people."""
    raise NotYetError(
        "the page is not rendered by this version yet; the feed is at the same address with .ics"
    )
