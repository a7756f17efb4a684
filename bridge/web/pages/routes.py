"""The routes of the pages: the start page, timetables, and single classes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from flask import Blueprint, Response, current_app, request

from bridge.config import Availability
from bridge.feeds.event_text import change_notes
from bridge.feeds.formats import ICS
from bridge.feeds.params import feed_spec
from bridge.feeds.selection import select
from bridge.feeds.spec import PATH_FIELDS, Cancelled, FeedSpec, Kind
from bridge.feeds.subject import KIND_WORDS
from bridge.model import Visibility
from bridge.services import Services
from bridge.snapshots.cache import Lookup
from bridge.text_cleanup import clip
from bridge.web.feed_responses import slug
from bridge.web.pages import calendar_links, structured_data, timetable
from bridge.web.pages.calendar_links import CalendarLinks
from bridge.web.pages.change_page import LATEST, change_items
from bridge.web.pages.embed_builder import EmbedBuilder
from bridge.web.pages.feed_builder import feed_builder, weekdays
from bridge.web.pages.fetch_times import FetchTime, fetch_times
from bridge.web.pages.next_classes import NextClasses
from bridge.web.pages.page_cache import Page, page_response
from bridge.web.pages.page_context import AGENDA, PageContext
from bridge.web.pages.page_filters import page_filters
from bridge.web.pages.page_title import page_content
from bridge.web.pages.timetable import Entry, Timetable
from bridge.web.routing import kind_routes

blueprint = Blueprint("pages", __name__, template_folder="templates")

# Search engines and chats show less.
_MAX_DESCRIPTION = 300


@blueprint.route("/")
def start() -> Response:
    """The start page: the feed builder with the public catalogue."""
    context = PageContext.of(request)
    services = context.services
    all_classes = feed_spec(Kind.SESSION, None, (), services.defaults)
    lookup = services.router.find(all_classes.filter_set) if services.config.catalog else None

    def render() -> Page:
        feed_path = context.feed_of(all_classes).path(f".{ICS.suffix}")
        zone = all_classes.studio_zone or (lookup.snapshot.main_zone if lookup else None)
        html = context.render(
            "start.html",
            page_path="/",
            canonical=f"{context.base}/",
            description=context.language("start_lead").unescape(),
            builder=lookup
            and feed_builder(
                lookup.snapshot,
                all_classes.filter_set,
                all_classes.audience,
                context.language,
            ),
            subscription=CalendarLinks(context.base + feed_path, ""),
            feed_path=feed_path,
            max_availability=services.config.public_availability,
            Availability=Availability,
            weekdays=weekdays(context.first_weekday(zone)),
            left_out=lookup and lookup.left_out,
            age=lookup and context.age_notice(lookup, None),
        )
        return Page(html)

    return page_response(context, lookup, ("start",), render)


@kind_routes(blueprint, kinds=PATH_FIELDS)
def show(kind: Kind, identity: int | None) -> Response:
    """A timetable of the next days or of a week, with links for subscribing."""
    context = PageContext.of(request)
    spec = context.feed_spec(kind, identity)
    embed = EmbedBuilder.of(context)
    key = ("timetable", spec, context.view, context.first_day, embed)
    lookup = context.services.router.find(spec.filter_set)
    fetches = fetch_times(context, context.feed_of(spec))
    return page_response(
        context,
        lookup,
        key,
        lambda: _timetable(context, spec, lookup, fetches, embed=embed),
        state=fetches,
    )


@blueprint.route("/private/<path:token>")
def show_private(token: str) -> Response:
    """The timetable of a private feed. All errors in its address get the same response."""
    services: Services = current_app.extensions["bridge"]
    spec = services.private.verify(token).spec(services.defaults)
    context = PageContext.of(request)
    key = ("private", spec, context.view, context.first_day)
    lookup = services.router.find(spec.filter_set)
    fetches = fetch_times(context, spec)
    return page_response(
        context,
        lookup,
        key,
        lambda: _timetable(context, spec, lookup, fetches, token=token),
        state=fetches,
        private=True,
    )


@blueprint.route("/sessions/<feed_id:identity>", defaults={"kind": Kind.SESSION})
@blueprint.route("/classes/<feed_id:identity>", defaults={"kind": Kind.CLASS})
def show_class(kind: Kind, identity: int) -> Response:
    """One class, with links for adding it to a calendar."""
    context = PageContext.of(request)
    spec = feed_spec(kind, identity, (), context.services.defaults)
    lookup = context.services.router.find(spec.filter_set)
    return page_response(context, lookup, ("class", spec), lambda: _class(context, spec, lookup))


def _class(context: PageContext, spec: FeedSpec, lookup: Lookup) -> Page:
    defaults = context.services.defaults
    # It tells of places what the studio allows to, and so whether there is a waiting list.
    shown = replace(spec, availability=defaults.audience.availability)
    content = page_content(lookup.snapshot, shown, context.language)
    [view] = content.shown
    substitute = None
    if view.cancelled:
        others = select(lookup.snapshot, feed_spec(Kind.SESSION, None, (), defaults))
        substitute = NextClasses(others.shown).after(view.session)
    entry = timetable.entry(view, substitute)
    ends, opens = view.session.ends, view.session.booking_opens
    over = ends <= context.now
    html = context.render(
        "class.html",
        page_path=calendar_links.path(spec, ""),
        canonical=context.base + calendar_links.path(spec, ""),
        description=_class_description(context, entry),
        content=content,
        entry=entry,
        over=over,
        notes=change_notes(view, context.language),
        opens=entry.booking_opens if opens and opens > context.now else None,
        google=calendar_links.google_event(view, context.language),
        file=context.root + calendar_links.path(context.feed_of(spec), "", ".ics"),
        data=structured_data.events([entry], context.base),
        slug=slug,
        left_out=lookup.left_out,
        age=context.age_notice(lookup, entry.zone),
    )
    changes = [at for at in (opens, ends, substitute and substitute.session.ends) if at]
    return Page(
        html,
        since=max((at for at in changes if at <= context.now), default=None),
        until=min((at for at in changes if at > context.now), default=None),
    )


def _class_description(context: PageContext, entry: Entry) -> str:
    """Time, place and instructors of a class, for search results and links in chats."""
    venue = entry.session_view.session.venue
    place = ", ".join(filter(None, (venue.name, venue.address))) if venue else ""
    when = context.language.times(entry.start, entry.end)
    text = " · ".join(filter(None, (when, place, ", ".join(entry.instructors))))
    return clip(text, _MAX_DESCRIPTION)


def _timetable(
    context: PageContext,
    spec: FeedSpec,
    lookup: Lookup,
    fetches: Sequence[FetchTime],
    *,
    embed: EmbedBuilder | None = None,
    token: str | None = None,
) -> Page:
    """The page of a timetable.

    Args:
        fetches: when vendors' servers last fetched its feed.
        embed: the settings of its embed code; None if it has none.
        token: of a private feed. It is in the links of the page only: a private page has no
            previews, no structured data and no embed code.
    """
    public = context.services.defaults.audience
    content = page_content(lookup.snapshot, spec, context.language, public)
    # The address of a private feed is signed, with its language.
    feed = context.feed_of(spec) if token is None else spec

    def path_of(extension: str) -> str:
        if token is not None:
            return f"/private/{token}{extension}"
        return calendar_links.path(feed if extension else spec, content.name, extension)

    page_path = path_of("")
    page_address = context.base + page_path
    latest = context.services.feeds.changes(lookup, spec)[:LATEST]
    filters = None
    title = content.name
    if token is None:
        filters = page_filters(
            lookup.snapshot, spec, content, context.language, page_path,
            first_weekday=context.first_weekday(content.studio_zone),
        )  # fmt: skip
        title = filters.title(content.name)
    table = context.timetable(content, page_path, filters.size if filters else 0)
    # A session of several days has an entry for each of them.
    upcoming = {
        entry.path: entry
        for entry in table.entries
        if entry.session_view.session.ends > context.now
    }
    html = context.render(
        "timetable.html",
        page_path=page_path,
        word="private" if token else KIND_WORDS[spec.kind],
        named=bool(token) or spec.identity is not None,
        private=_granted(spec) if token else None,
        content=content,
        title=title,
        filters=filters,
        table=table,
        latest=change_items(context, latest, content.zone, content.has_page),
        view=context.view,
        subscription=CalendarLinks(context.base + path_of(f".{ICS.suffix}"), title),
        path_of=lambda extension: context.root + path_of(extension),
        cancellations=_cancellations(context, spec, table) if token is None else None,
        fetches=[fetch.words(context.language) for fetch in fetches],
        google_by_url=calendar_links.GOOGLE_BY_URL,
        page_address=page_address,
        mail=calendar_links.mail(title, page_address),
        qr=calendar_links.qr_code(page_address),
        embed=embed,
        trimmed=context.services.feeds.render_from(lookup, feed, ICS).body.trimmed,
        # Only in one of the two views, so that search engines see each event once.
        data=(
            structured_data.events(upcoming.values(), context.base)
            if context.view == AGENDA and token is None
            else None
        ),
        canonical=page_address if token is None else None,
        description=context.language("timetable_description", name=title).unescape(),
        left_out=lookup.left_out,
        age=context.age_notice(lookup, content.subject.zone),
    )
    changes = [fetch.since for fetch in fetches if fetch.since]
    return Page(html, max([table.since, *changes]), table.until)


@dataclass(frozen=True, slots=True)
class _Cancellations:
    """How the calendar of a page shows cancelled sessions.

    Attributes:
        path: of the page whose calendar shows them in the other way.
    """

    now: str
    path: str


def _cancellations(context: PageContext, spec: FeedSpec, table: Timetable) -> _Cancellations | None:
    """What the page says about cancelled sessions in calendars, if it shows any."""
    if spec.cancelled is Cancelled.HIDE or not (
        table.cancelled or spec.cancelled is Cancelled.KEEP
    ):
        return None
    pairs = [pair for pair in spec.query_pairs if pair[0] != "cancelled"]
    if spec.cancelled is Cancelled.STATUS:
        pairs.append(("cancelled", Cancelled.KEEP.value))
    other = feed_spec(spec.kind, spec.identity, pairs, context.services.defaults)
    return _Cancellations(spec.cancelled.value, calendar_links.path(other, ""))


def _granted(spec: FeedSpec) -> list[str]:
    """What a private feed shows, as keys of texts."""
    audience = spec.audience
    shown = [visibility.value for visibility in Visibility if visibility in audience.visibilities]
    options = ("counts", "join_links", "staff_links")
    return [*shown, *(name for name in options if getattr(audience, name))]
