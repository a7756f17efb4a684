"""Languages: the interface's own words, and dates and times as a locale writes them."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.dates import (
    format_date,
    format_interval,
    format_skeleton,
    format_time,
    format_timedelta,
    get_datetime_format,
    get_day_names,
)
from babel.numbers import format_decimal
from markupsafe import Markup
from werkzeug.datastructures import LanguageAccept

from bridge.errors import ParameterError
from bridge.filters import shown

_FOLDER = Path(__file__).parent / "locales"
_FALLBACK = "en"
# Who asks for English and says no more gets what most of the world reads: Monday first, 18:30.
_ENGLISH = "en_GB"
# At some 200 kB each; there are over a thousand, and nobody is to make a worker load them all.
_MOST_LOCALES = 150
_TAG = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}", re.ASCII)

Words = Mapping[str, str | Mapping[str, str]]


@dataclass(frozen=True)
class Language:
    """The words of one language, and the manner of one locale.

    Attributes:
        tag: of the words, as HTML has it.
        locale: of dates and times; its language may have no words here.
    """

    tag: str
    locale: Locale
    words: Words = field(repr=False, compare=False, hash=False)

    def __call__(self, key: str, count: int | None = None, **values: Any) -> Markup:
        """The text of *key*, with *values* put in and made safe.

        Args:
            count: chooses among plural forms; it is ``{count}`` in the text.
        """
        text = self.words[key]
        if count is not None:
            values["count"] = format_decimal(count, locale=self._own)
        if isinstance(text, Mapping):
            form = self._own.plural_form(count or 0)
            text = text.get(form) or text["other"]
        return Markup(text).format(**values)  # noqa: S704 - the bridge's own text

    @cached_property
    def _own(self) -> Locale:
        return Locale.parse(self.tag, sep="-")

    @property
    def direction(self) -> str:
        """``ltr`` or ``rtl``, of the words."""
        return self._own.text_direction

    @cached_property
    def dates(self) -> str:
        """The tag of the locale."""
        return str(self.locale).replace("_", "-")

    @cached_property
    def foreign(self) -> Markup:
        """Attributes for dates whose language is not that of the words around them."""
        if self.locale.language == self._own.language:
            return Markup("")
        return Markup(' lang="{}" dir="{}"').format(self.dates, self.locale.text_direction)

    @cached_property
    def first_weekday(self) -> int:
        """The day that a week begins with, 0 for Monday."""
        locale = self.locale
        if locale.territory is None:
            # Of a language alone: as most who speak it have it. The library takes the world's.
            likely = get_global("likely_subtags").get(str(locale))
            locale = Locale.parse(likely) if likely else locale
        return locale.first_week_day

    def weekday(self, day: date) -> str:
        """Its name, standing alone."""
        names = get_day_names("wide", context="stand-alone", locale=self.locale)
        return str(names[day.weekday()])

    def month_day(self, day: date) -> str:
        """Day and month."""
        return str(format_skeleton("MMMMd", day, locale=self.locale))

    def days(self, first: date, last: date) -> str:
        """From one day to another."""
        return str(format_interval(first, last, "yMMMd", locale=self.locale))

    def full(self, day: date) -> str:
        """Weekday, day, month and year."""
        return str(format_date(day, "full", locale=self.locale))

    def moment(self, at: datetime, *, exact: bool = False) -> str:
        """Day and time of day, to the minute or, where it is to be exact, to the second."""
        form = str(get_datetime_format("medium", locale=self.locale)).replace("'", "")
        day = str(format_date(at, "medium", locale=self.locale))
        time = str(format_time(at, "medium", locale=self.locale)) if exact else self.time(at)
        return form.replace("{1}", day).replace("{0}", time)

    def ago(self, seconds: float) -> str:
        """How long ago something was, roughly, in the language of the words."""
        past = timedelta(seconds=-max(1.0, seconds))
        return str(format_timedelta(past, add_direction=True, threshold=1.5, locale=self._own))

    def time(self, at: datetime) -> str:
        """The time of day."""
        return str(format_time(at, "short", locale=self.locale))

    def times(self, start: datetime, end: datetime | None) -> str:
        """From one time of day to another; both in the same zone."""
        if end is None or end.utcoffset() != start.utcoffset():
            # Across a clock change the library would take one offset for both.
            return self.time(start) + (f" – {self.time(end)}" if end else "")
        skeleton = "Hm" if "H" in self.locale.time_formats["short"].pattern else "hm"
        zone = start.tzinfo
        try:
            text = str(format_interval(start, end, skeleton, tzinfo=zone, locale=self.locale))
        except NotImplementedError:  # of a few locales: "in the afternoon" and its like
            return f"{self.time(start)}–{self.time(end)}"
        # In a column of times the word for "o'clock" is noise.
        return text.removesuffix(" Uhr")

    def place(self, zone: str) -> str:
        """The city that *zone* is known by, for a sentence of the words."""
        if zone in ("UTC", "Etc/UTC"):
            return "UTC"
        known = self._own.time_zones.get(zone, {})
        return str(known.get("city") or zone.rpartition("/")[2].replace("_", " "))


@cache
def available() -> Mapping[str, Words]:
    """The words of every language that there is a file of, by its tag."""
    read = {path.stem: tomllib.loads(path.read_text("utf-8")) for path in _FOLDER.glob("*.toml")}
    # What a translation lacks yet is said in English.
    return {tag: {**read[_FALLBACK], **words} for tag, words in sorted(read.items())}


def negotiate(asked: str | None, accepted: LanguageAccept) -> Language:
    """The language of a page.

    Args:
        asked: the parameter ``lang``; it comes before what the browser accepts.

    Raises:
        ParameterError: *asked* names no language.
    """
    tags = [tag for tag, _ in accepted if tag != "*"][:20]
    if asked is not None:
        if _locale(asked) is None:
            raise ParameterError(
                "lang", f"lang: {shown(asked)} is no language; accepted: a tag such as en or de-AT"
            )
        tags.insert(0, asked)
    known = [locale for tag in tags if (locale := _locale(tag))]
    locale = known[0] if known else Locale.parse(_ENGLISH)
    spoken = (str(one) for one in known)
    tag = next((own for one in spoken if (own := _words_of(one))), _FALLBACK)
    return Language(tag, locale, available()[tag])


@cache
def default() -> Language:
    """The language of those who asked for none."""
    return negotiate(None, LanguageAccept())


def _words_of(locale: str) -> str | None:
    """The tag of the words for *locale*: its own, or its language's."""
    parts = locale.split("_")
    tags = ("-".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((tag for tag in tags if tag in available()), None)


@lru_cache(maxsize=1000)
def _locale(tag: str) -> Locale | None:
    """The locale that *tag* names, or the nearest that is known; None for no language."""
    if not _TAG.fullmatch(tag):
        return None
    parts = tag.replace("_", "-").split("-")
    if [part.lower() for part in parts] == ["en"]:
        return Locale.parse(_ENGLISH)
    while parts:
        name = "-".join(parts)
        # the library follows aliases: zh-TW is zh_Hant_TW
        name = get_global("language_aliases").get(name.lower(), name)
        try:
            return _admitted(Locale.parse(name, sep="-"))
        except (UnknownLocaleError, ValueError):
            parts.pop()
    return None


_seen: set[str] = set()


def _admitted(locale: Locale) -> Locale:
    """*locale*, unless too many others were asked for: the library keeps the data of each."""
    if len(_seen) >= _MOST_LOCALES and str(locale) not in _seen:
        return Locale.parse(_ENGLISH)
    _seen.add(str(locale))
    return locale
