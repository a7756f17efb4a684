"""Translations of the bridge's texts, and formatting of dates and times by locale (CLDR).

language = languages.translated("de-AT")
language("earlier")                            # for a page, escaped
language.plain("event_course", name="Yoga")    # for a feed
"""

import math
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.dates import (
    format_date,
    format_interval,
    format_skeleton,
    format_time,
    format_timedelta,
    get_datetime_format,
)
from babel.numbers import format_decimal
from markupsafe import Markup

from bridge import times
from bridge.errors import ParameterError

_FOLDER = Path(__file__).parent / "locales"
_FALLBACK = "en"
# The locale of "en" without a territory: weeks begin on Monday, and 18:30 is written so.
_ENGLISH = "en_GB"
# CLDR's codes for the world and for an unknown territory.
_NO_TERRITORY = ("001", "ZZ")
# Besides those of the translations. About 200 kB each; there are over a thousand, and requests must
# not make a worker load them all.
_MOST_LOCALES = 150
_TAG = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}", re.ASCII)

Words = Mapping[str, str | Mapping[str, str]]


@dataclass(frozen=True)
class Language:
    """The texts of one language, and the date formats of one locale.

    Attributes:
        tag: the language of the texts, as in HTML's ``lang``.
        locale: the locale of dates and times; it may be in a language without translation.
        words: the texts by key; a mapping by plural form for texts with a count.
    """

    tag: str
    locale: Locale
    words: Words = field(repr=False, compare=False, hash=False)

    def __call__(self, key: str, count: int | None = None, **values: Any) -> Markup:
        """The text of *key*, with *values* inserted and escaped.

        Args:
            count: selects the plural form, and is inserted as ``{count}``.
        """
        if count is not None:
            values["count"] = format_decimal(count, locale=self._text_locale)
        return Markup(self._text(key, count)).format(**values)  # noqa: S704 - a text of the bridge

    def plain(self, key: str, count: int | None = None, **values: Any) -> str:
        """The text of *key* as plain text, with *values* inserted as they are.

        Args:
            count: selects the plural form, and is inserted as ``{count}``.
        """
        return self._text(key, count).format(count=count, **values)

    def _text(self, key: str, count: int | None) -> str:
        text = self.words[key]
        if isinstance(text, str):
            return text
        return text.get(self._plural_form(count or 0)) or text["other"]

    @cached_property
    def _text_locale(self) -> Locale:
        return Locale.parse(self.tag, sep="-")

    @cached_property
    def _plural_form(self) -> Callable[[int], str]:
        return self._text_locale.plural_form

    @property
    def direction(self) -> str:
        """The direction of the texts, ``ltr`` or ``rtl``."""
        return self._text_locale.text_direction

    @cached_property
    def locale_tag(self) -> str:
        """The tag of the locale, as in HTML's ``lang``."""
        return str(self.locale).replace("_", "-")

    @cached_property
    def date_attributes(self) -> Markup:
        """HTML attributes for dates, if their language is not that of the texts."""
        if self.locale.language == self._text_locale.language:
            return Markup("")
        return Markup(' lang="{}" dir="{}"').format(self.locale_tag, self.locale.text_direction)

    @property
    def has_region(self) -> bool:
        """Whether the locale is that of a region, and not of a language in general."""
        return self.locale.territory is not None and str(self.locale) != _ENGLISH

    def first_weekday(self, zone: str | None) -> int:
        """The first day of the week, 0 for Monday.

        Args:
            zone: a time zone in the territory that decides where the locale has no region.
        """
        if self.has_region:
            return self.locale.first_week_day
        name = get_global("zone_aliases").get(zone or "", zone or "")
        territory = get_global("zone_territories").get(name)
        if territory in _NO_TERRITORY:
            territory = None
        # Without a territory babel takes the world's default, not that of the likely territory.
        likely = get_global("likely_subtags").get(str(self.locale), str(self.locale))
        try:
            return Locale.parse(f"und_{territory}" if territory else likely).first_week_day
        except UnknownLocaleError:
            # Some small territories have a language that babel does not know.
            return Locale.parse(likely).first_week_day

    def weekday(self, day: date | int, *, short: bool = False) -> str:
        """The name of the weekday (stand-alone form) of a day, or of its number from Monday, 0."""
        width: Literal["abbreviated", "wide"] = "abbreviated" if short else "wide"
        # From copies: babel would store names that a language lacks, and takes from its usual form,
        # in the data of all languages (babel 2.18, LocaleDataDict).
        names = self.locale.days.copy()["stand-alone"].copy()[width]
        return str(names[day if isinstance(day, int) else day.weekday()])

    def month(self, day: date) -> str:
        """Format month and year."""
        return str(format_skeleton("yMMMM", day, locale=self.locale))

    def month_day(self, day: date, *, short: bool = False) -> str:
        """Format day and month."""
        return str(format_skeleton("MMMd" if short else "MMMMd", day, locale=self.locale))

    def short_day(self, day: date, *, year: bool = False) -> str:
        """Format the weekday, day and month, abbreviated; with *year* the year as well."""
        if str(self.locale) == _ENGLISH:
            # CLDR has changed the British abbreviations and commas. Calendars must not change.
            return str(format_date(day, "EEE d MMM y" if year else "EEE d MMM", locale="en"))
        return str(format_skeleton("yMMMEd" if year else "MMMEd", day, locale=self.locale))

    def days(self, first: date, last: date) -> str:
        """Format a range of days."""
        return str(format_interval(first, last, "yMMMd", locale=self.locale))

    def full(self, day: date) -> str:
        """Format weekday, day, month and year."""
        return str(format_date(day, "full", locale=self.locale))

    def date_time(self, at: datetime, *, exact: bool = False) -> str:
        """Format day and time of day, to the minute; with *exact* to the second."""
        form = str(get_datetime_format("medium", locale=self.locale)).replace("'", "")
        day = str(format_date(at, "medium", locale=self.locale))
        time = str(format_time(at, "medium", locale=self.locale)) if exact else self.time(at)
        return form.replace("{1}", day).replace("{0}", time)

    def ago(self, seconds: float) -> str:
        """How long ago something happened, rounded, in the language of the texts."""
        past = timedelta(seconds=-max(1.0, seconds))
        return str(
            format_timedelta(past, add_direction=True, threshold=1.5, locale=self._text_locale)
        )

    def whole_ago(self, count: int, unit: Literal["hour", "day"]) -> str:
        """How many whole hours or days ago something happened, in the language of the texts."""
        past = timedelta(hours=-count) if unit == "hour" else timedelta(days=-count)
        locale = self._text_locale
        return str(
            # Without a threshold 30 hours would be a day.
            format_timedelta(past, unit, threshold=math.inf, add_direction=True, locale=locale)
        )

    def time(self, at: datetime | time) -> str:
        """Format a time of day."""
        return str(format_time(at, "short", locale=self.locale))

    def day_time(self, at: datetime) -> str:
        """Format the weekday, day, month and time of day, abbreviated."""
        return f"{self.short_day(at.date())}, {self.time(at)}"

    def times(self, start: datetime, end: datetime | None, day: date | None = None) -> str:
        """Format a range of times of day in the same zone, with the days if there are several.

        Args:
            day: the day that the reader assumes; by default that of *start*.
        """
        if end is not None and times.spans_days(start, end):
            begin = self.day_time(start) if day not in (None, start.date()) else self.time(start)
            return f"{begin} – {self.day_time(end)}"
        if end is None or end.utcoffset() != start.utcoffset():
            # Across a change of the clocks babel would use one offset for both.
            return self.time(start) + (f" – {self.time(end)}" if end else "")
        skeleton = "Hm" if "H" in self.locale.time_formats["short"].pattern else "hm"
        zone = start.tzinfo
        try:
            text = str(format_interval(start, end, skeleton, tzinfo=zone, locale=self.locale))
        except NotImplementedError:
            # Some locales use day periods such as "in the afternoon", which babel cannot format.
            return f"{self.time(start)}–{self.time(end)}"
        # Remove the German word for "o'clock".
        return text.removesuffix(" Uhr")

    def place(self, zone: str) -> str:
        """The city of a time zone, in the language of the texts."""
        if zone in ("UTC", "Etc/UTC"):
            return "UTC"
        names = self._text_locale.time_zones.get(zone, {})
        return str(names.get("city") or zone.rpartition("/")[2].replace("_", " "))


@cache
def available() -> Mapping[str, Words]:
    """The texts of each language that has a file in ``locales``, by its tag."""
    texts = {path.stem: tomllib.loads(path.read_text("utf-8")) for path in _FOLDER.glob("*.toml")}
    # Texts without a translation are shown in English.
    return {tag: {**texts[_FALLBACK], **words} for tag, words in sorted(texts.items())}


def translated(lang: str) -> Language | None:
    """The language for a tag such as ``de`` or ``de-AT``; None if there is no translation."""
    locale = _locale(lang)
    tag = locale and _translation(locale)
    return Language(tag, locale, available()[tag]) if locale and tag else None


def negotiate(
    lang: str | None, accepted: Iterable[tuple[str, float]], fallback: Language
) -> Language:
    """The language and locale of a page.

    Args:
        lang: the query parameter; it takes precedence over *accepted*.
        fallback: used where neither names a language, or none of them has a translation.

    Raises:
        ParameterError: *lang* is not the tag of a language.
    """
    tags = [tag for tag, _ in accepted if tag != "*"][:20]
    if lang is not None:
        if _locale(lang) is None:
            raise ParameterError.unusable("lang", lang, "a tag such as en or de-AT")
        tags.insert(0, lang)
    locales = [locale for tag in tags if (locale := _locale(tag))]
    locale = locales[0] if locales else fallback.locale
    tag = next(filter(None, map(_translation, locales)), fallback.tag)
    own = {text: _locale(text) or english().locale for text in available()}
    if locale not in (*own.values(), fallback.locale) and not _may_load(locale):
        locale = own[tag]
    return Language(tag, locale, available()[tag])


@cache
def english() -> Language:
    """The language of feeds and pages where nothing else is set or requested."""
    return Language(_FALLBACK, Locale.parse(_ENGLISH), available()[_FALLBACK])


def _translation(locale: Locale) -> str | None:
    """The tag of the translation for *locale* or, if there is none, for its language."""
    parts = str(locale).split("_")
    tags = ("-".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((tag for tag in tags if tag in available()), None)


@lru_cache(maxsize=1000)
def _locale(tag: str) -> Locale | None:
    """The locale for *tag*, or the nearest one that babel has; None if it is not a language."""
    if not _TAG.fullmatch(tag):
        return None
    parts = tag.replace("_", "-").split("-")
    if [part.lower() for part in parts] == ["en"]:
        return Locale.parse(_ENGLISH)
    while parts:
        name = "-".join(parts)
        # For example, zh-TW is zh_Hant_TW.
        name = get_global("language_aliases").get(name.lower(), name)
        try:
            return Locale.parse(name, sep="-")
        except (UnknownLocaleError, ValueError):
            parts.pop()
    return None


_loaded: set[str] = set()


def _may_load(locale: Locale) -> bool:
    """Whether *locale* is loaded, or the limit is not yet reached: babel keeps all of them."""
    if len(_loaded) >= _MOST_LOCALES and str(locale) not in _loaded:
        return False
    _loaded.add(str(locale))
    return True
