"""The page context: language, addresses and options of a request for a page."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, urlencode

from flask import Request, current_app, render_template
from werkzeug.exceptions import RequestURITooLarge

from bridge import languages, times
from bridge.errors import ParameterError
from bridge.feeds.params import OPTIONS, feed_spec
from bridge.feeds.spec import FeedSpec, Kind
from bridge.filter_params import PARAMETERS
from bridge.languages import Language
from bridge.param_values import single
from bridge.services import Services
from bridge.snapshots.cache import CacheOutcome, Lookup
from bridge.web import assets
from bridge.web.pages import page_budget, timetable
from bridge.web.pages.page_title import PageContent
from bridge.web.pages.timetable import Timetable
from bridge.web.site_address import base_address, root_path

# Template variables that only some pages set.
_OPTIONAL = dict.fromkeys(
    ("age", "canonical", "data", "description", "embedded", "left_out", "private", "table", "view")
)
VIEWS = (AGENDA, WEEK, MONTH) = ("agenda", "week", "month")


@dataclass(frozen=True, slots=True)
class Studio:
    """The studio's name, link and logo in the page header.

    Attributes:
        name: empty if it is not known.
        url: the address of its website.
        logo: the name of the asset.
        colour: the accent colour, ``rrggbb``.
    """

    name: str
    url: str | None
    logo: str | None
    colour: str | None

    @classmethod
    def of(cls, services: Services) -> "Studio":
        """The studio of the settings, by the name that TeamUp has if they name none."""
        config = services.config
        return cls(
            name=services.studio_name.current,
            url=config.studio_url,
            logo=assets.logo_name(config.studio_logo) if config.studio_logo else None,
            colour=config.studio_color,
        )


@dataclass(frozen=True)
class PageContext:
    """The context of one request for a page.

    Attributes:
        root: prefix of the bridge's paths; empty unless a proxy serves it below a path.
        base: the bridge's own address, for absolute links.
        chosen_language: the value of ``lang`` for links; None if the address has none.
    """

    request: Request
    services: Services
    language: Language
    root: str
    base: str
    chosen_language: str | None

    @classmethod
    def of(cls, request: Request) -> "PageContext":
        """The context of *request*.

        Raises:
            ParameterError: ``lang`` is not a language.
            BadRequest: the host, or the path prefix from a proxy, is not valid.
        """
        services: Services = current_app.extensions["bridge"]
        lang = request.args.get("lang") or None
        language = languages.negotiate(
            lang, request.accept_languages, services.config.feed_language
        )
        return cls(
            request=request,
            services=services,
            language=language,
            root=root_path(request, services.config.public_base_url),
            base=base_address(request, services.config.public_base_url),
            chosen_language=None if lang is None else language.locale_tag,
        )

    @cached_property
    def studio(self) -> Studio:
        """The studio in the page header."""
        return Studio.of(self.services)

    @cached_property
    def now(self) -> datetime:
        """The time of the request, by the clock of the store; the same for the whole page."""
        return datetime.fromtimestamp(self.services.store.now(), UTC)

    @property
    def feed_pairs(self) -> list[tuple[str, str]]:
        """The query parameters of the page's feed; a page ignores unknown ones.

        It ignores empty ones as well: forms send all their fields. Without ``lang``, which is the
        language of the page itself.
        """
        names = {*PARAMETERS, *OPTIONS} - {"lang"}
        pairs = self.request.args.items(multi=True)
        return [(name, value) for name, value in pairs if name in names and value]

    def feed_spec(self, kind: Kind, identity: int | None) -> FeedSpec:
        """The feed of the page.

        Raises:
            ParameterError: a parameter cannot be used.
            RequestURITooLarge: the page, whose links repeat its filters, would be too large.
        """
        spec = feed_spec(kind, identity, self.feed_pairs, self.services.defaults)
        if len(spec.path()) > page_budget.MAX_PATH:
            raise RequestURITooLarge
        return spec

    @cached_property
    def feed_language(self) -> str | None:
        """The value of ``lang`` for feeds; None if the address names no language with texts."""
        named = self.chosen_language and languages.translated(self.chosen_language)
        return named.tag if named else None

    def feed_of(self, spec: FeedSpec) -> FeedSpec:
        """The feed that the page of *spec* links to: it has the language of the page's address."""
        if self.feed_language is None:
            return spec
        pairs = [*parse_qsl(spec.query), ("lang", self.feed_language)]
        return feed_spec(spec.kind, spec.identity, pairs, self.services.defaults)

    @cached_property
    def view(self) -> str:
        """The layout of the timetable, one of :data:`VIEWS`.

        Raises:
            ParameterError: ``view`` has another value.
        """
        return self.choice_param("view", VIEWS)

    @property
    def view_option(self) -> str | None:
        """The value of ``view`` for links; None for the default."""
        return None if self.view == AGENDA else self.view

    @cached_property
    def first_day(self) -> date | None:
        """The first day of the timetable, from the parameter ``from``.

        Raises:
            ParameterError: ``from`` is not a date, or is too far away.
        """
        if not self.request.args.get("from"):
            return None
        text = single("from", self.request.args.getlist("from"))
        parsed = times.read(text)
        day = parsed.value.date() if parsed and parsed.is_date else None
        if day is None or not timetable.is_in_range(day, self.now.date()):
            raise ParameterError.unusable("from", text, "a date such as 2026-10-20")
        return day

    def choice_param(self, name: str, accepted: tuple[str, ...]) -> str:
        """The value of a query parameter; by default the first of *accepted*.

        Raises:
            ParameterError: it is not one of *accepted*.
        """
        values = [value for value in self.request.args.getlist(name) if value]
        if not values:
            return accepted[0]
        text = single(name, values)
        if text not in accepted:
            raise ParameterError.unusable(name, text, ", ".join(accepted))
        return text

    def first_weekday(self, zone: str | None) -> int:
        """The first day of the week, 0 for Monday, as at the studio.

        A language with a region in the address (``lang=en-US``) takes precedence. The browser's
        does not: outside of America, too, many browsers ask for American English.

        Args:
            zone: the studio's time zone.
        """
        chosen = self.chosen_language is not None and self.language.has_region
        language = self.language if chosen else self.services.config.feed_language
        return language.first_weekday(zone)

    def timetable(self, content: PageContent, path: str, filters_size: int = 0) -> Timetable:
        """The timetable of a page for the requested view and day.

        Args:
            path: of the page, with its query.
            filters_size: the approximate size of the filters in the page, in bytes.
        """
        shown, zone = content.shown, content.zone
        links_size = page_budget.path_size(path, days=self.view == MONTH)
        budget = page_budget.TIMETABLE - filters_size - links_size
        if self.view == AGENDA:
            return timetable.agenda(shown, zone, self.now, self.first_day, budget=budget)
        if self.view == MONTH:
            return timetable.month(shown, zone, self.now, self.first_day, budget=budget)
        return timetable.week(
            shown, zone, self.now, self.first_day,
            first_weekday=self.first_weekday(content.studio_zone), budget=budget,
        )  # fmt: skip

    def age_notice_key(self, lookup: Lookup) -> str | None:
        """The key of the text about the timetable's age; None if it needs no notice."""
        if lookup.outcome is CacheOutcome.FAILED:
            return "old_part" if self._is_partly_new(lookup) else "old"
        # The snapshot was not requested for a while; a refresh runs in the background.
        return "aged" if lookup.fresh_for < -2 * self.services.config.cache_ttl else None

    def _is_partly_new(self, lookup: Lookup) -> bool:
        """Whether another part of the timetable is newer than the oldest part, and not stale."""
        newest = lookup.snapshot.newest_walk_at
        fresh = self.now.timestamp() - newest < 2 * self.services.config.cache_ttl
        return fresh and newest - lookup.snapshot.oldest_walk_at > self.services.config.cache_ttl

    def age_notice(self, lookup: Lookup, zone: str | None) -> str | None:
        """The notice about the age of a timetable, with the time in *zone*; None if not needed."""
        key = self.age_notice_key(lookup)
        if key is None:
            return None
        walked = datetime.fromtimestamp(lookup.snapshot.oldest_walk_at, UTC)
        local = times.zone(zone)
        when = self.language.date_time(walked.astimezone(local or UTC))
        return self.language(key, when=when if local else f"{when} UTC")

    def link(self, path: str, **parameters: object) -> str:
        """The address of another page of the bridge, with the chosen language.

        Args:
            path: the path, with or without a query.
            parameters: query parameters of that page. They replace parameters of the same name in
                *path*; a value of None leaves the parameter out. A trailing underscore of a name is
                removed (``from_``).
        """
        query = {name.rstrip("_"): value for name, value in parameters.items() if value is not None}
        if self.chosen_language and "lang" not in query:
            query["lang"] = self.chosen_language
        if not query:
            return self.root + path
        path, _, own = path.partition("?")
        kept = [pair for pair in own.split("&") if pair and pair.partition("=")[0] not in query]
        path += f"?{'&'.join(kept)}" if kept else ""
        return f"{self.root}{path}{'&' if '?' in path else '?'}{urlencode(query)}"

    def form_action(self, path: str) -> str:
        """The address of a form for another page of the bridge: a query in it would be lost."""
        return self.root + path.partition("?")[0]

    def form_fields(
        self, path: str, without: Collection[str] = (), **parameters: object
    ) -> list[tuple[str, object]]:
        """The hidden fields of a form: the rest of the address.

        Args:
            path: that of the page, with its query.
            without: names of parameters in that query for which the form has visible fields.
            parameters: as in :meth:`link`.
        """
        parameters.setdefault("lang", self.chosen_language)
        return [
            *(pair for pair in parse_qsl(path.partition("?")[2]) if pair[0] not in without),
            *((n.rstrip("_"), value) for n, value in parameters.items() if value is not None),
        ]

    def render(self, template: str, **variables: Any) -> str:
        """Render *template* with the variables that every page has, and *variables*."""
        return render_template(
            template,
            context=self,
            t=self.language,
            link=self.link,
            asset=lambda name: self.root + assets.path(name),
            languages=languages.available(),
            has_day_links=page_budget.has_day_links,
            studio=self.studio,
            sandbox=self.services.config.sandbox,
            **{**_OPTIONAL, **variables},
        )
