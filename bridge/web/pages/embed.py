"""Timetables for the frames of other sites: light or dark, in any colour, without scripts."""

from flask import Blueprint, Response, request

from bridge.feeds.params import feed_spec
from bridge.feeds.spec import FeedSpec, Kind
from bridge.snapshots.cache import Lookup
from bridge.web.error_pages import UnknownPageError
from bridge.web.middleware import security_headers
from bridge.web.pages import calendar_links, colours
from bridge.web.pages.page_cache import Page, answer
from bridge.web.pages.page_context import PageContext
from bridge.web.pages.page_title import WORDS, about

blueprint = Blueprint("embed", __name__, url_prefix="/embed")

THEMES = ("auto", "light", "dark")


@blueprint.route("/venues/<feed_id:identity>", defaults={"kind": Kind.VENUE})
@blueprint.route("/instructors/<feed_id:identity>", defaults={"kind": Kind.INSTRUCTOR})
@blueprint.route("/courses/<feed_id:identity>", defaults={"kind": Kind.COURSE})
@blueprint.route("/sessions", defaults={"kind": Kind.SESSION, "identity": None})
def show(kind: Kind, identity: int | None) -> Response:
    """The timetable as a list or as a week, with nothing around it."""
    visit = PageContext.of(request)
    spec = feed_spec(kind, identity, visit.feed_pairs, visit.services.defaults)
    theme = visit.one_of("theme", THEMES)
    given = request.args.get("accent")
    accent = None if given is None else colours.accent("accent", given)
    key = ("embed", spec, visit.view, visit.first_day, theme, accent)
    lookup = visit.services.router.find(spec.filter_set)

    def render() -> Page:
        return _timetable(visit, spec, lookup, theme=theme, accent=accent)

    return answer(visit, lookup, key, render, indexed=False)


def _timetable(
    visit: PageContext, spec: FeedSpec, lookup: Lookup, *, theme: str, accent: str | None
) -> Page:
    found = about(lookup.snapshot, spec, visit.language)
    if not found.known:
        raise UnknownPageError(WORDS[spec.kind])
    table = visit.timetable(found.shown, found.subject)
    page = calendar_links.path(spec, found.name)
    html = visit.render(
        "embed.html",
        here=f"/embed{page}",
        page=visit.link(page),
        about=found,
        table=table,
        view=visit.view,
        theme=theme,
        accent=accent,
        manner={"theme": theme if theme != THEMES[0] else None, "accent": accent},
        age=visit.age_notice(lookup, found.subject.zone),
    )
    return Page(html, table.since, table.until)


@blueprint.route("/accent/<digits>.css")
def accent_style(digits: str) -> Response:
    """The style of one accent colour: a policy without inline style leaves no other way."""
    digits = colours.accent("accent", digits)
    light, dark = (colours.themed(digits, ground) for ground in (colours.LIGHT, colours.DARK))
    css = "".join(
        f"{selector}{{--accent:{one.ink};--fill:{one.fill};--on-fill:{one.on_fill}}}{end}\n"
        for selector, one, end in (
            # Twice the root: stronger than the site's own style, wherever it stands.
            (":root:root", light, ""),
            ("@media(prefers-color-scheme:dark){:root:root:not([data-theme=light])", dark, "}"),
            (":root:root[data-theme=dark]", dark, ""),
        )
    )
    return Response(
        css,
        headers={
            **security_headers.SAFE,
            "Content-Type": "text/css; charset=utf-8",
            # It follows from its address, and from nothing else but the program.
            "Cache-Control": "public, max-age=86400",
        },
    )
