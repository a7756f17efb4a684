"""A visit: what a page needs to know of the request that asks for it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Request, current_app, render_template
from werkzeug.exceptions import BadRequest

from bridge import times
from bridge.errors import ParameterError
from bridge.feeds.selection import SessionView, Subject
from bridge.filters import PARAMETERS, shown, single
from bridge.services import Services
from bridge.snapshots.cache import CacheOutcome, Lookup
from bridge.web import assets, languages
from bridge.web.languages import Language
from bridge.web.middleware.limits import is_host
from bridge.web.pages import timetable
from bridge.web.pages.timetable import Timetable

#: The options that a page shares with its feed (``feeds/params.py`` says what they take).
OPTIONS = frozenset({"cancelled", "availability", "tz"})
VIEWS = (AGENDA, WEEK) = ("agenda", "week")
# Two slashes at its start would make a host of it.
_ROOT = re.compile(r"(?:/[A-Za-z0-9._~-]+)*", re.ASCII)


@dataclass(frozen=True)
class PageContext:
    """Who asks, in which language, and under which address.

    Attributes:
        root: what the bridge's paths begin with; empty unless a proxy serves it below a path.
        base: the bridge's own address, for links that leave the page.
        chosen: the language, where the address says which.
    """

    request: Request
    services: Services
    language: Language
    root: str
    base: str
    chosen: str | None

    @classmethod
    def of(cls, request: Request) -> "PageContext":
        """The visit that *request* is.

        Raises:
            ParameterError: it asks for a language that is none.
            BadRequest: its host, or what a proxy says of it, is none.
        """
        services: Services = current_app.extensions["bridge"]
        asked = request.args.get("lang")
        language = languages.negotiate(asked, request.accept_languages)
        root = _root(request, services.config.public_base_url)
        return cls(
            request=request,
            services=services,
            language=language,
            root=root,
            base=services.config.public_base_url or _origin(request) + root,
            chosen=None if asked is None else language.dates,
        )

    @cached_property
    def now(self) -> datetime:
        """The time."""
        return datetime.fromtimestamp(self.services.store.now(), UTC)

    @property
    def feed_pairs(self) -> list[tuple[str, str]]:
        """The parameters that a feed takes; a page does not mind others."""
        known = {*PARAMETERS, *OPTIONS}
        return [pair for pair in self.request.args.items(multi=True) if pair[0] in known]

    @cached_property
    def view(self) -> str:
        """How a timetable is laid out.

        Raises:
            ParameterError: the parameter asks for something else.
        """
        return self.one_of("view", VIEWS)

    @cached_property
    def first_day(self) -> date | None:
        """The day that the parameter ``from`` asks to begin with.

        Raises:
            ParameterError: it is no day, or none that a timetable reaches.
        """
        if "from" not in self.request.args:
            return None
        text = single("from", self.request.args.getlist("from"))
        written = times.read(text)
        day = written.value.date() if written and written.is_date else None
        if day is None or not timetable.within_reach(day, self.now.date()):
            raise ParameterError(
                "from", f"from: {shown(text)} cannot be used; accepted: a date such as 2026-10-20"
            )
        return day

    def one_of(self, name: str, accepted: tuple[str, ...]) -> str:
        """The value of a parameter, the first of *accepted* where it is not given.

        Raises:
            ParameterError: it is something else.
        """
        if name not in self.request.args:
            return accepted[0]
        text = single(name, self.request.args.getlist(name))
        if text not in accepted:
            told = ", ".join(accepted)
            raise ParameterError(name, f"{name}: {shown(text)} cannot be used; accepted: {told}")
        return text

    def timetable(self, sessions: Sequence[SessionView], subject: Subject) -> Timetable:
        """What is to be shown of *sessions*."""
        if self.view == AGENDA:
            return timetable.agenda(sessions, subject, self.now, self.first_day)
        first_weekday = self.language.first_weekday
        return timetable.week(
            sessions, subject, self.now, self.first_day, first_weekday=first_weekday
        )

    def standing(self, lookup: Lookup) -> str | None:
        """What a reader has to be told of a timetable's age: the words' key; None: nothing."""
        if lookup.served is CacheOutcome.FAILED:
            return "old"
        # An address that nobody asked for in a while: a refresh runs behind this answer.
        return "aged" if lookup.left < -2 * self.services.config.cache_ttl else None

    def age_notice(self, lookup: Lookup, zone: str | None) -> str | None:
        """What is to be said of the age of a timetable; times are those of *zone*."""
        standing = self.standing(lookup)
        if standing is None:
            return None
        walked = datetime.fromtimestamp(lookup.snapshot.walked, UTC)
        known = times.zone(zone)
        when = self.language.moment(walked.astimezone(known or UTC))
        return self.language(standing, when=when if known else f"{when} UTC")

    def link(self, path: str, **parameters: object) -> str:
        """The address of another page of the bridge, in the language of this one.

        Args:
            path: may have a query already.
            parameters: of that page; None goes unsaid.
        """
        said = {name.rstrip("_"): one for name, one in parameters.items() if one is not None}
        if self.chosen and "lang" not in said:
            said["lang"] = self.chosen
        if not said:
            return self.root + path
        return f"{self.root}{path}{'&' if '?' in path else '?'}{urlencode(said)}"

    def render(self, template: str, **context: Any) -> str:
        """A page of *template*."""
        return render_template(
            template,
            visit=self,
            t=self.language,
            link=self.link,
            asset=lambda name: self.root + assets.path(name),
            languages=languages.available(),
            sandbox=self.services.config.sandbox,
            **context,
        )


def _origin(request: Request) -> str:
    """The host that was asked for, as far as it can be one: it is printed into addresses."""
    if not is_host(request.host) or request.scheme not in ("http", "https"):
        raise BadRequest
    return f"{request.scheme}://{request.host}"


def _root(request: Request, own: str | None) -> str:
    """The path that a proxy serves the bridge below: it is printed into every link.

    Args:
        own: the bridge's own address, which knows better than a header that any visitor can send
            through a proxy that passes it on.
    """
    root = request.script_root
    if own is not None and root:
        return urlsplit(own).path
    if not _ROOT.fullmatch(root):
        raise BadRequest
    return root
