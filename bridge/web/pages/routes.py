"""The pages for people: the start page, timetables, and a single class."""

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
from bridge.web.pages.page_cache import Page, answer
from bridge.web.pages.page_context import AGENDA, PageContext
from bridge.web.pages.page_title import WORDS, about

# The markup of an item on the start page, without the names in it.
_ITEM = 190

blueprint = Blueprint("pages", __name__, template_folder="templates")


@blueprint.route("/")
def start() -> Response:
    """The feed builder, with everything that has something public to show."""
    visit = PageContext.of(request)
    services = visit.services
    everything = feed_spec(Kind.SESSION, None, (), services.defaults)
    lookup = services.router.find(everything.filter_set) if services.config.catalog else None

    def render() -> Page:
        found = lookup and _catalogue(visit, lookup, everything.filter_set)
        html = visit.render(
            "start.html",
            here="/",
            catalogue=found,
            most=found and _most_listed(found),
            subscription=CalendarLinks.of(visit.base, everything, ""),
            most_told=services.config.public_availability,
            Availability=Availability,
            slug=slug,
            age=lookup and visit.age_notice(lookup, None),
        )
        return Page(html)

    return answer(visit, lookup, ("start",), render)


@blueprint.route("/venues/<feed_id:identity>", defaults={"kind": Kind.VENUE})
@blueprint.route("/instructors/<feed_id:identity>", defaults={"kind": Kind.INSTRUCTOR})
@blueprint.route("/courses/<feed_id:identity>", defaults={"kind": Kind.COURSE})
@blueprint.route("/sessions", defaults={"kind": Kind.SESSION, "identity": None})
def show(kind: Kind, identity: int | None) -> Response:
    """The timetable of the coming days, or of a week; and how to subscribe to it."""
    visit = PageContext.of(request)
    spec = feed_spec(kind, identity, visit.feed_pairs, visit.services.defaults)
    key = ("timetable", spec, visit.view, visit.first_day)
    lookup = visit.services.router.find(spec.filter_set)
    return answer(visit, lookup, key, lambda: _timetable(visit, spec, lookup))


@blueprint.route("/sessions/<feed_id:identity>")
def show_class(identity: int) -> Response:
    """One class, and how to add it to a calendar."""
    visit = PageContext.of(request)
    spec = feed_spec(Kind.SESSION, identity, (), visit.services.defaults)
    lookup = visit.services.router.find(spec.filter_set)
    return answer(visit, lookup, ("class", spec), lambda: _class(visit, spec, lookup))


def _class(visit: PageContext, spec: FeedSpec, lookup: Lookup) -> Page:
    found = about(lookup.snapshot, spec, visit.language)
    if not found.shown:
        raise UnknownPageError(WORDS[spec.kind])
    [one] = found.shown
    entry = timetable.entry(one)
    ends, over = one.session.ends, one.session.ends <= visit.now
    html = visit.render(
        "class.html",
        here=calendar_links.path(spec, ""),
        entry=entry,
        over=over,
        google=calendar_links.google_event(one),
        file=visit.root + calendar_links.path(spec, "", ".ics"),
        data=structured_data.events([entry], visit.base),
        slug=slug,
        age=visit.age_notice(lookup, entry.zone),
    )
    return Page(html, since=ends) if over else Page(html, until=ends)


def _timetable(visit: PageContext, spec: FeedSpec, lookup: Lookup) -> Page:
    found = about(lookup.snapshot, spec, visit.language)
    if not found.known:
        raise UnknownPageError(WORDS[spec.kind])
    table = visit.timetable(found.shown, found.subject)
    here = calendar_links.path(spec, found.name)
    page_address = visit.base + here
    embed_path = f"/embed{here}"
    title = visit.language("embed_title", name=found.name).unescape()
    coming = (one for one in table.entries if one.shown.session.ends > visit.now)
    html = visit.render(
        "timetable.html",
        here=here,
        word=WORDS[spec.kind],
        named=spec.identity is not None,
        about=found,
        table=table,
        view=visit.view,
        subscription=CalendarLinks.of(visit.base, spec, found.name),
        path_of=lambda extension: visit.root + calendar_links.path(spec, found.name, extension),
        google_by_url=calendar_links.GOOGLE_BY_URL,
        page_address=page_address,
        qr=calendar_links.qr_code(page_address),
        embed_path=embed_path,
        trimmed=visit.services.feeds.made_of(lookup, spec, ICS).body.trimmed,
        snippet=calendar_links.embed_snippet(visit.base, embed_path, title),
        # A search engine reads the one page that there is of it.
        data=structured_data.events(coming, visit.base) if visit.view == AGENDA else None,
        canonical=visit.services.config.public_base_url and page_address,
        age=visit.age_notice(lookup, found.subject.zone),
    )
    return Page(html, table.since, table.until)


def _most_listed(catalogue: Catalogue) -> int:
    """How many of each kind the start page can hold."""
    groups = (catalogue.venues, catalogue.instructors, catalogue.courses, catalogue.types)
    weights = [
        [page_budget.text(one.name, slug(one.name), one.name, frame=_ITEM) for one in group]
        for group in groups
    ]
    return page_budget.fitting(weights, page_budget.CATALOGUE, most=sum(map(len, groups)))


def _catalogue(visit: PageContext, lookup: Lookup, window: FilterSet) -> Catalogue:
    """Whom and what there are feeds of that hold something."""
    snapshot = lookup.snapshot
    inside = (one.session for one in snapshot.matching(window))
    return catalogue_of(inside, visit.services.defaults.audience)
