"""The routes of the pages: the start page, timetables, and single classes."""

from flask import Blueprint, Response, request

from bridge.config import Availability
from bridge.feeds.catalogue import Catalogue, catalogue_of
from bridge.feeds.formats import ICS
from bridge.feeds.params import feed_spec
from bridge.feeds.spec import FeedSpec, Kind
from bridge.filters import FilterSet
from bridge.snapshots.cache import Lookup
from bridge.web.error_pages import UnknownPageError
from bridge.web.feed_responses import slug
from bridge.web.pages import calendar_links, page_budget, structured_data, timetable
from bridge.web.pages.calendar_links import CalendarLinks
from bridge.web.pages.page_cache import Page, page_response
from bridge.web.pages.page_context import AGENDA, PageContext
from bridge.web.pages.page_title import KIND_WORDS, page_content

# Bytes of the markup of an item on the start page, without its names.
_ITEM_MARKUP = 190

blueprint = Blueprint("pages", __name__, template_folder="templates")


@blueprint.route("/")
def start() -> Response:
    """The start page: the feed builder with the public catalogue."""
    context = PageContext.of(request)
    services = context.services
    all_classes = feed_spec(Kind.SESSION, None, (), services.defaults)
    lookup = services.router.find(all_classes.filter_set) if services.config.catalog else None

    def render() -> Page:
        catalogue = lookup and _catalogue(context, lookup, all_classes.filter_set)
        html = context.render(
            "start.html",
            page_path="/",
            catalogue=catalogue,
            max_items=catalogue and _max_items(catalogue),
            subscription=CalendarLinks.of(context.base, all_classes, ""),
            max_availability=services.config.public_availability,
            Availability=Availability,
            slug=slug,
            age=lookup and context.age_notice(lookup, None),
        )
        return Page(html)

    return page_response(context, lookup, ("start",), render)


@blueprint.route("/venues/<feed_id:identity>", defaults={"kind": Kind.VENUE})
@blueprint.route("/instructors/<feed_id:identity>", defaults={"kind": Kind.INSTRUCTOR})
@blueprint.route("/courses/<feed_id:identity>", defaults={"kind": Kind.COURSE})
@blueprint.route("/sessions", defaults={"kind": Kind.SESSION, "identity": None})
def show(kind: Kind, identity: int | None) -> Response:
    """A timetable of the next days or of a week, with links for subscribing."""
    context = PageContext.of(request)
    spec = feed_spec(kind, identity, context.feed_pairs, context.services.defaults)
    key = ("timetable", spec, context.view, context.first_day)
    lookup = context.services.router.find(spec.filter_set)
    return page_response(context, lookup, key, lambda: _timetable(context, spec, lookup))


@blueprint.route("/sessions/<feed_id:identity>")
def show_class(identity: int) -> Response:
    """One class, with links for adding it to a calendar."""
    context = PageContext.of(request)
    spec = feed_spec(Kind.SESSION, identity, (), context.services.defaults)
    lookup = context.services.router.find(spec.filter_set)
    return page_response(context, lookup, ("class", spec), lambda: _class(context, spec, lookup))


def _class(context: PageContext, spec: FeedSpec, lookup: Lookup) -> Page:
    content = page_content(lookup.snapshot, spec, context.language)
    if not content.shown:
        raise UnknownPageError(KIND_WORDS[spec.kind])
    [view] = content.shown
    entry = timetable.entry(view)
    ends, over = view.session.ends, view.session.ends <= context.now
    html = context.render(
        "class.html",
        page_path=calendar_links.path(spec, ""),
        entry=entry,
        over=over,
        google=calendar_links.google_event(view),
        file=context.root + calendar_links.path(spec, "", ".ics"),
        data=structured_data.events([entry], context.base),
        slug=slug,
        age=context.age_notice(lookup, entry.zone),
    )
    return Page(html, since=ends) if over else Page(html, until=ends)


def _timetable(context: PageContext, spec: FeedSpec, lookup: Lookup) -> Page:
    content = page_content(lookup.snapshot, spec, context.language)
    if not content.exists:
        raise UnknownPageError(KIND_WORDS[spec.kind])
    table = context.timetable(content.shown, content.subject)
    page_path = calendar_links.path(spec, content.name)
    page_address = context.base + page_path
    embed_path = f"/embed{page_path}"
    title = context.language("embed_title", name=content.name).unescape()
    upcoming = (entry for entry in table.entries if entry.session_view.session.ends > context.now)
    html = context.render(
        "timetable.html",
        page_path=page_path,
        word=KIND_WORDS[spec.kind],
        named=spec.identity is not None,
        content=content,
        table=table,
        view=context.view,
        subscription=CalendarLinks.of(context.base, spec, content.name),
        path_of=lambda extension: context.root + calendar_links.path(spec, content.name, extension),
        google_by_url=calendar_links.GOOGLE_BY_URL,
        page_address=page_address,
        qr=calendar_links.qr_code(page_address),
        embed_path=embed_path,
        trimmed=context.services.feeds.render_from(lookup, spec, ICS).body.trimmed,
        snippet=calendar_links.embed_snippet(context.base, embed_path, title),
        # Only in one of the two views, so that search engines see each event once.
        data=structured_data.events(upcoming, context.base) if context.view == AGENDA else None,
        canonical=context.services.config.public_base_url and page_address,
        age=context.age_notice(lookup, content.subject.zone),
    )
    return Page(html, table.since, table.until)


def _max_items(catalogue: Catalogue) -> int:
    """How many items of each kind fit into the start page."""
    groups = (catalogue.venues, catalogue.instructors, catalogue.courses, catalogue.types)
    sizes = [
        [
            page_budget.text_size(item.name, slug(item.name), item.name, frame=_ITEM_MARKUP)
            for item in group
        ]
        for group in groups
    ]
    return page_budget.items_per_group(sizes, page_budget.CATALOGUE, most=sum(map(len, groups)))


def _catalogue(context: PageContext, lookup: Lookup, window: FilterSet) -> Catalogue:
    """The public catalogue of the sessions in the default window."""
    sessions = (published.session for published in lookup.snapshot.matching(window))
    return catalogue_of(sessions, context.services.defaults.audience)
