"""Timetables for embedding in other sites, and the style sheets of accent colours."""

from flask import Blueprint, Response, request

from bridge.errors import ParameterError, quoted
from bridge.feeds.params import OPTIONS
from bridge.feeds.spec import PATH_FIELDS, FeedSpec, Kind
from bridge.filter_params import PARAMETERS
from bridge.snapshots.cache import Lookup
from bridge.web.middleware import security_headers
from bridge.web.pages import calendar_links
from bridge.web.pages.accent import DARK, LIGHT, accent_colour, themed
from bridge.web.pages.embed_options import EmbedOptions
from bridge.web.pages.page_cache import Page, page_response
from bridge.web.pages.page_context import PageContext
from bridge.web.pages.page_filters import FIELDS, page_filters
from bridge.web.pages.page_title import page_content
from bridge.web.routing import kind_routes

blueprint = Blueprint("embed", __name__, url_prefix="/embed")


@kind_routes(blueprint, kinds=(*PATH_FIELDS, Kind.CLASS))
def show(kind: Kind, identity: int | None) -> Response:
    """The timetable as a list or as a week, without the rest of the page."""
    context = PageContext.of(request)
    spec = context.feed_spec(kind, identity)
    options = EmbedOptions.of(context)
    fixed = _fixed_parameters(context, spec, options)
    key = ("embed", spec, context.view, context.first_day, options, fixed)
    lookup = context.services.router.find(spec.filter_set)

    def render() -> Page:
        return _timetable(context, spec, lookup, options, fixed)

    return page_response(context, lookup, key, render, indexed=False)


def _fixed_parameters(
    context: PageContext, spec: FeedSpec, options: EmbedOptions
) -> tuple[str, ...]:
    """The names of the filters that the embed code sets, which visitors cannot change.

    The first page of a frame has the address in the code. Its links and forms add what visitors
    choose, and the parameter ``fixed`` with these names.

    Raises:
        ParameterError: ``fixed`` has a name that is not one of a filter.
    """
    used = dict.fromkeys(name for name, _ in spec.query_pairs)
    if not options.filters or "fixed" not in context.request.args:
        return tuple(used)
    names = [*filter(None, context.request.args["fixed"].split(","))]
    for name in names:
        if name not in PARAMETERS and name not in OPTIONS:
            raise ParameterError("fixed", f"fixed: {quoted(name)} is not the name of a filter")
    # Visitors cannot change others anyway, and each link of the page repeats these names.
    return tuple(name for name in dict.fromkeys(names) if name in used or name in FIELDS)


def _timetable(
    context: PageContext,
    spec: FeedSpec,
    lookup: Lookup,
    options: EmbedOptions,
    fixed: tuple[str, ...],
) -> Page:
    content = page_content(lookup.snapshot, spec, context.language)
    path = calendar_links.path(spec, content.name)
    page_path = f"/embed{path}"
    filters = page_filters(
        lookup.snapshot, spec, content, context.language, page_path,
        first_weekday=context.first_weekday(content.studio_zone), fixed=fixed,
    )  # fmt: skip
    table = context.timetable(content, page_path, filters.size if options.filters else 0)
    parameters = options.parameters
    if options.filters:
        parameters["fixed"] = ",".join(fixed)
    html = context.render(
        "embed.html",
        page_path=page_path,
        page_link=context.link(path),
        title=filters.title(content.name),
        filters=filters if options.filters else None,
        parameters=parameters,
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
    digits = accent_colour("accent", digits)
    light, dark = (themed(digits, background) for background in (LIGHT, DARK))
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
