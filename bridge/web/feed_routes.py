"""The routes of the feeds: of a venue, an instructor, a course, a session, any filter set."""

from dataclasses import replace

from flask import Blueprint, Response, current_app, request

from bridge.feeds.feed import Feed
from bridge.feeds.formats import ICS
from bridge.feeds.formats.base import Format
from bridge.feeds.params import feed_spec
from bridge.feeds.spec import FeedSpec, Kind
from bridge.ops.usage import FeedInfo
from bridge.services import Services
from bridge.web import feed_responses
from bridge.web.middleware import access_log

blueprint = Blueprint("feeds", __name__)


@blueprint.route("/venues/<feed_id:identity>.<feed_format:form>", defaults={"kind": Kind.VENUE})
@blueprint.route(
    "/instructors/<feed_id:identity>.<feed_format:form>", defaults={"kind": Kind.INSTRUCTOR}
)
@blueprint.route("/courses/<feed_id:identity>.<feed_format:form>", defaults={"kind": Kind.COURSE})
@blueprint.route("/sessions/<feed_id:identity>.<feed_format:form>", defaults={"kind": Kind.SESSION})
@blueprint.route("/sessions.<feed_format:form>", defaults={"kind": Kind.SESSION, "identity": None})
def show(kind: Kind, identity: int | None, form: Format) -> Response:
    """A feed, in the form that its address ends in."""
    services: Services = current_app.extensions["bridge"]
    pairs = request.args.items(multi=True)
    spec = feed_spec(kind, identity, pairs, services.defaults, besides=form.params)
    return _answer(services, spec, form)


@blueprint.route("/private/<path:token>.<feed_format:form>")
def show_private(token: str, form: Format) -> Response:
    """A signed feed. Whatever is wrong with its address, the answer is the same."""
    services: Services = current_app.extensions["bridge"]
    grant = services.private.open(token)
    defaults = replace(services.defaults, audience=grant.audience)
    spec = feed_spec(grant.kind, grant.identity, grant.pairs, defaults)
    return _answer(services, spec, form)


def _answer(services: Services, spec: FeedSpec, form: Format) -> Response:
    feed = services.feeds.get(spec, form)
    request.environ[access_log.FEED] = _read(spec, feed)
    return feed_responses.feed_response(
        request, feed.narrowed(form, request.args), spec, form, services.config
    )


def _read(spec: FeedSpec, feed: Feed) -> FeedInfo:
    who, body = spec.audience, feed.body
    return FeedInfo(
        name=who.private or spec.path(f".{ICS.suffix}"),
        key=spec.filter_set.key,
        private=who.private is not None,
        title=body.name,
        sessions=body.sessions,
        trimmed=body.trimmed,
        hidden=tuple(sorted(body.hidden.items())),
    )


@blueprint.after_request
def preflight(response: Response) -> Response:
    """Let other origins read feeds, and ask first (the Fetch standard's preflight)."""
    if request.method == "OPTIONS" and response.status_code == 200:
        response.headers.update(feed_responses.CORS)
        response.headers["Access-Control-Allow-Methods"] = feed_responses.ALLOWED
        response.headers["Access-Control-Allow-Headers"] = "*"
        response.headers["Access-Control-Max-Age"] = "86400"
    return response
