"""The page of a feed's changes, and the latest ones for the page of its timetable."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from flask import Blueprint, Response, current_app, request

from bridge import times
from bridge.feeds.change_text import change_text
from bridge.feeds.changes import SessionChange
from bridge.feeds.spec import FeedSpec, Kind, session_path
from bridge.model import ClassSession
from bridge.services import Services
from bridge.snapshots.cache import Lookup
from bridge.web.pages import calendar_links, page_budget
from bridge.web.pages.page_cache import Page, page_response
from bridge.web.pages.page_context import PageContext
from bridge.web.pages.page_title import page_content
from bridge.web.routing import kind_routes

blueprint = Blueprint("changes", __name__)

LATEST = 5
"""How many changes the page of a timetable shows."""
# Bytes of the markup of a change, without its text.
_MARKUP = 260


@dataclass(frozen=True, slots=True)
class ChangeItem:
    """A change on a page.

    Attributes:
        at: when the bridge saw it, in the time zone whose days the page counts.
        path: of the page of the session; None if it has none.
    """

    text: str
    at: datetime
    path: str | None

    @property
    def size(self) -> int:
        """Its approximate size in a page, in bytes."""
        return page_budget.text_size(self.text, frame=_MARKUP)


def change_items(
    context: PageContext,
    changes: Sequence[SessionChange],
    zone: str | None,
    has_page: Callable[[ClassSession], bool],
) -> list[ChangeItem]:
    """The *changes* in the language of the page.

    Args:
        zone: the time zone whose days the page counts, if it is known.
        has_page: whether a session has a page of its own.
    """
    local = times.zone(zone) or UTC
    return [
        ChangeItem(
            text=change_text(change, context.language),
            at=change.at.astimezone(local),
            path=session_path(change.after.session) if has_page(change.after.session) else None,
        )
        for change in changes
    ]


@kind_routes(blueprint, "/changes")
def show(kind: Kind, identity: int | None) -> Response:
    """What changed in the feed in the last 30 days."""
    context = PageContext.of(request)
    spec = context.feed_spec(kind, identity)
    lookup = context.services.router.find(spec.filter_set)
    key = ("changes", spec)
    return page_response(context, lookup, key, lambda: _page(context, spec, lookup), indexed=False)


@blueprint.route("/private/<path:token>/changes")
def show_private(token: str) -> Response:
    """What changed in a private feed. All errors in its address get the same response."""
    services: Services = current_app.extensions["bridge"]
    spec = services.private.verify(token).spec(services.defaults)
    context = PageContext.of(request)
    lookup = services.router.find(spec.filter_set)
    return page_response(
        context,
        lookup,
        ("private changes", spec),
        lambda: _page(context, spec, lookup, token),
        private=True,
    )


def _page(context: PageContext, spec: FeedSpec, lookup: Lookup, token: str | None = None) -> Page:
    """The page of changes.

    Args:
        token: of a private feed. It is in the links of the page only: a private page has no
            previews.
    """
    public = context.services.defaults.audience
    content = page_content(lookup.snapshot, spec, context.language, public)
    feed = context.feed_of(spec) if token is None else spec

    def path_of(extension: str) -> str:
        if token is not None:
            return f"/private/{token}{extension}"
        if extension in ("", "/changes"):
            return calendar_links.path(spec, content.name, extension)
        return feed.path(extension)

    changes = context.services.feeds.changes(lookup, spec)
    html = context.render(
        "changes.html",
        page_path=path_of("/changes"),
        private=token is not None,
        content=content,
        timetable=path_of(""),
        changes=_fitting(change_items(context, changes, content.zone, content.has_page)),
        path_of=lambda extension: context.root + path_of(f"/changes{extension}"),
        canonical=context.base + path_of("/changes") if token is None else None,
        description=context.language("changes_title", name=content.name).unescape(),
        left_out=lookup.left_out,
        age=context.age_notice(lookup, content.subject.zone),
    )
    return Page(html)


def _fitting(items: Sequence[ChangeItem]) -> Sequence[ChangeItem]:
    sizes = [item.size for item in items]
    return items[: page_budget.items_per_group([sizes], page_budget.TIMETABLE, most=len(items))]
