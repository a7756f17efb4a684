"""The routes of the feeds: of an object, of a filter set, and private feeds."""

from datetime import UTC, datetime

from flask import Blueprint, Response, current_app, request

from bridge.feeds.feed import Feed
from bridge.feeds.formats.base import Format
from bridge.feeds.params import feed_spec, own_values
from bridge.feeds.spec import FeedSpec, Kind
from bridge.ops.usage import FeedInfo, feed_name
from bridge.services import Services
from bridge.web import feed_responses
from bridge.web.middleware import access_log
from bridge.web.routing import kind_routes

blueprint = Blueprint("feeds", __name__)


@kind_routes(blueprint, ".<feed_format:form>", "/changes.<change_format:form>")
def show(kind: Kind, identity: int | None, form: Format) -> Response:
    """A public feed, or its changes, in the format of the suffix."""
    services: Services = current_app.extensions["bridge"]
    pairs = request.args.items(multi=True)
    spec = feed_spec(kind, identity, pairs, services.defaults, extra_params=form.params)
    return _respond(services, spec, form)


@blueprint.route("/private/<path:token>/changes.<change_format:form>")
@blueprint.route("/private/<path:token>.<feed_format:form>")
def show_private(token: str, form: Format) -> Response:
    """A private feed. All errors in its address get the same response.

    Parameters that are not signed change nothing: readers may have added some to an address that
    they subscribe to.
    """
    services: Services = current_app.extensions["bridge"]
    spec = services.private.verify(token).spec(services.defaults)
    return _respond(services, spec, form)


def _respond(services: Services, spec: FeedSpec, form: Format) -> Response:
    feed = services.feeds.get(spec, form)
    if not form.of_changes:
        request.environ[access_log.FEED_KEY] = _feed_info(spec, feed)
    now = datetime.fromtimestamp(services.store.now(), UTC)
    feed = feed.with_params(form, own_values(request.args.items(multi=True), form.params), now)
    return feed_responses.feed_response(request, feed, spec, form, services)


def _feed_info(spec: FeedSpec, feed: Feed) -> FeedInfo:
    body = feed.body
    return FeedInfo(
        name=feed_name(spec),
        key=spec.filter_set.key,
        private=spec.audience.private is not None,
        title=body.name,
        sessions=body.sessions,
        trimmed=body.trimmed,
        hidden=tuple(sorted(body.hidden.items())),
    )


blueprint.after_request(feed_responses.add_preflight_headers)
