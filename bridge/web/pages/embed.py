"""Timetables for embedding in other sites, and the style sheets of accent colours."""

from flask import Blueprint, Response, request

from bridge.feeds.params import feed_spec
from bridge.feeds.spec import FeedSpec, Kind
from bridge.feeds.subject import KIND_WORDS
from bridge.snapshots.cache import Lookup
from bridge.web.error_pages import UnknownPageError
from bridge.web.middleware import security_headers
from bridge.web.pages import calendar_links, colours
from bridge.web.pages.embed_options import EmbedOptions
from bridge.web.pages.page_cache import Page, page_response
from bridge.web.pages.page_context import PageContext
from bridge.web.pages.page_title import page_content

blueprint = Blueprint("embed", __name__, url_prefix="/embed")


@blueprint.route("/venues/<feed_id:identity>", defaults={"kind": Kind.VENUE})
@blueprint.route("/instructors/<feed_id:identity>", defaults={"kind": Kind.INSTRUCTOR})
@blueprint.route("/courses/<feed_id:identity>", defaults={"kind": Kind.COURSE})
@blueprint.route("/rooms/<feed_id:identity>", defaults={"kind": Kind.ROOM})
@blueprint.route("/types/<feed_id:identity>", defaults={"kind": Kind.TYPE})
@blueprint.route("/classes/<feed_id:identity>", defaults={"kind": Kind.CLASS})
@blueprint.route("/sessions", defaults={"kind": Kind.SESSION, "identity": None})
def show(kind: Kind, identity: int | None) -> Response:
    """The timetable as a list or as a week, without the rest of the page."""
    context = PageContext.of(request)
    spec = feed_spec(kind, identity, context.feed_pairs, context.services.defaults)
    options = EmbedOptions.of(context)
    key = ("embed", spec, context.view, context.first_day, options)
    lookup = context.services.router.find(spec.filter_set)

    def render() -> Page:
        return _timetable(context, spec, lookup, options)

    return page_response(context, lookup, key, render, indexed=False)


def _timetable(context: PageContext, spec: FeedSpec, lookup: Lookup, options: EmbedOptions) -> Page:
    content = page_content(lookup.snapshot, spec, context.language)
    if not content.exists:
        raise UnknownPageError(KIND_WORDS[spec.kind])
    table = context.timetable(content)
    path = calendar_links.path(spec, content.name)
    html = context.render(
        "embed.html",
        page_path=f"/embed{path}",
        page_link=context.link(path),
        content=content,
        one_class=spec.session is not None,
        table=table,
        view=context.view,
        options=options,
        left_out=lookup.left_out,
        age=context.age_notice(lookup, content.subject.zone),
    )
    return Page(html, table.since, table.until)


@blueprint.route("/accent/<digits>.css")
def accent_style(digits: str) -> Response:
    """The style sheet of an accent colour: the security policy forbids inline styles."""
    digits = colours.accent("accent", digits)
    light, dark = (
        colours.themed(digits, background) for background in (colours.LIGHT, colours.DARK)
    )
    css = "".join(
        f"{selector}{{--accent:{accent.ink};--fill:{accent.fill};--on-fill:{accent.on_fill}}}{end}\n"
        for selector, accent, end in (
            # The doubled selector has a higher specificity than those of site.css.
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
            # It depends only on the address and on this program.
            "Cache-Control": "public, max-age=86400",
        },
    )
