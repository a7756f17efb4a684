"""The language of feeds: of the words that the bridge adds to the studio's own."""

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from ical.calendar_stream import IcsCalendarStream
from ical.compat import enable_compat_mode
from icalendar import Calendar
from samples import HALL, START, content, published, session, snapshot, spec

from bridge import languages
from bridge.config import Availability
from bridge.errors import ParameterError
from bridge.feeds.catalogue import catalogue_of
from bridge.feeds.formats import FORMATS, ICS
from bridge.feeds.formats.ics import trim_to_size
from bridge.feeds.params import FeedDefaults, feed_spec
from bridge.feeds.private import FeedGrant, new_audience
from bridge.feeds.spec import Audience, FeedSpec, Kind
from bridge.languages import Language
from bridge.model import Instructor, Status, Visibility

TAGS = tuple(languages.available())
OPENS = datetime(2026, 9, 1, 8, tzinfo=UTC)
STAFF = Audience(
    visibilities=frozenset({Visibility.PUBLIC}),
    availability=Availability.SPOTS,
    counts=True,
    join_links=True,
    staff_links=True,
)
EVERYTHING = (
    session(1, booking_opens=OPENS),
    session(2, attending=10, waiting=2, instructors=(Instructor(1, "Zoë"), Instructor(2, "Jo"))),
    session(3, attending=6, venue=replace(HALL, zone="Europe/Paris"), capacity=None),
    session(4, status=Status.CANCELLED, course=None, title="Élan vital"),
)
"""Sessions that have all of the words between them."""


WORDS = {
    "de": ("ABGESAGT: {}", "{} (ausgebucht)", "{} (noch 7 Plätze)", "Kursleitung: Zoë"),
    "en": ("CANCELLED: {}", "{} (Full)", "{} (7 left)", "Instructor: Zoë"),
    "es": ("CANCELADA: {}", "{} (completa)", "{} (quedan 7 plazas)", "Imparte: Zoë"),
    "fr": ("ANNULÉ : {}", "{} (complet)", "{} (7 places restantes)", "Professeur : Zoë"),
    "it": ("ANNULLATA: {}", "{} (al completo)", "{} (7 posti rimasti)", "Insegnante: Zoë"),
    "nl": ("GEANNULEERD: {}", "{} (vol)", "{} (nog 7 plaatsen)", "Docent: Zoë"),
    "pt": ("CANCELADA: {}", "{} (esgotada)", "{} (restam 7 vagas)", "Com: Zoë"),
}
"""Of each language: a cancelled class, a full one, one with places left, and the instructor."""


def language(tag: str) -> Language:
    found = languages.translated(tag)
    assert found
    return found


def feed(tag: str, suffix: str = "ics", *, sessions: Any = EVERYTHING, **fields: Any) -> str:
    fields = {"audience": STAFF, "availability": Availability.SPOTS, **fields}
    specification = spec(language=language(tag), **fields)
    rendered = FORMATS[suffix].render(content(snapshot(*sessions), specification))
    return rendered.decode().replace("\r\n ", "")


def plain_spaces(text: str) -> str:
    return text.replace("\u00a0", " ")


def parsed(*pairs: tuple[str, str], default: str = "en") -> FeedSpec:
    defaults = FeedDefaults(30, 90, STAFF, language=language(default))
    return feed_spec(Kind.SESSION, None, pairs, defaults)


class TestParameter:
    def test_it_is_a_part_of_the_address(self) -> None:
        german = parsed(("lang", "de"), ("alarm", "30"))
        assert german.language == language("de")
        assert german.path(".ics") == "/sessions.ics?alarm=30&lang=de&_=.ics"
        assert german.filter_set == parsed().filter_set

    @pytest.mark.parametrize(
        ("tag", "default"), [("en", "en"), ("en-US", "en"), ("de", "de"), ("en", "en-US")]
    )
    def test_the_default_language_is_left_out_of_the_address(self, tag: str, default: str) -> None:
        assert parsed(("lang", tag), default=default) == parsed(default=default)

    def test_english_is_named_where_it_is_not_the_default(self) -> None:
        assert parsed(("lang", "en"), default="de").query == "lang=en"
        assert parsed(default="de").language == language("de")

    def test_all_regions_of_a_language_are_one_feed(self) -> None:
        assert parsed(("lang", "de-AT")) == parsed(("lang", "DE")) == parsed(("lang", "de"))

    def test_it_can_be_signed_with_a_private_feed(self) -> None:
        grant = FeedGrant(Kind.VENUE, 12, (("lang", "fr"),), new_audience(Visibility))
        assert grant.spec(FeedDefaults(30, 90, STAFF)).language == language("fr")

    @pytest.mark.parametrize("tag", ["ja", "xx", "english", "", "de,en"])
    def test_languages_without_a_translation_are_refused(self, tag: str) -> None:
        with pytest.raises(ParameterError, match="lang") as error:
            parsed(("lang", tag))
        assert error.value.parameter == "lang"
        assert not tag or "de, en" in str(error.value)


class TestWords:
    def test_the_default_is_english(self) -> None:
        assert feed("en") == feed("en-GB")
        german = spec(language=language("de"))
        assert ICS.render(content(snapshot(*EVERYTHING), spec())) != ICS.render(
            content(snapshot(*EVERYTHING), german)
        )

    def test_german_events_have_german_words(self) -> None:
        text = feed("de").replace("\\", "")
        for words in (
            "SUMMARY:Vinyasa Flow – Zoë (noch 7 Plätze)",
            "SUMMARY:Vinyasa Flow – Zoë, Jo (ausgebucht)",
            "SUMMARY:ABGESAGT: Élan vital – Zoë",
            "Kursleitung: Zoë",
            "Buchbar ab Di., 1. Sept., 09:00",
            "Es gibt eine Warteliste.",
            "Buchen: https://studio.example",
            "Gebucht: 3 von 10",
            "Online teilnehmen: https://video.example",
            "Verwalten: https://staff.example",
            "Termine: Zeiten, Orte und Absagen wie im Buchungssystem des Studios.",
        ):
            assert words in text

    @pytest.mark.parametrize("tag", TAGS)
    def test_the_words_are_read_back_by_clients(self, tag: str) -> None:
        cancelled, full, left, instructor = WORDS[tag]
        expected = {
            cancelled.format("Élan vital – Zoë"),
            full.format("Vinyasa Flow – Zoë, Jo"),
            left.format("Vinyasa Flow – Zoë"),
            "Vinyasa Flow – Zoë",
        }
        text = feed(tag, alarm=30)
        parsed_events = Calendar.from_ical(text).walk("VEVENT")
        with enable_compat_mode(text) as compatible:
            events = IcsCalendarStream.calendar_from_ics(compatible).events
        for titles, descriptions in (
            ([e["SUMMARY"] for e in parsed_events], [e["DESCRIPTION"] for e in parsed_events]),
            ([e.summary for e in events], [str(e.description) for e in events]),
        ):
            assert {plain_spaces(str(title)) for title in titles} == expected
            firsts = [plain_spaces(line) for text in descriptions for line in text.splitlines()]
            assert instructor in firsts

    @pytest.mark.parametrize("tag", TAGS)
    def test_only_texts_depend_on_the_language(self, tag: str) -> None:
        texts = re.compile(
            r"^(SUMMARY|DESCRIPTION|NAME|X-WR-CALNAME|X-WR-CALDESC):.*$", re.MULTILINE
        )
        assert texts.sub(r"\1", feed(tag)) == texts.sub(r"\1", feed("en"))

    @pytest.mark.parametrize("tag", [tag for tag in TAGS if tag != "en"])
    def test_no_english_words_are_left(self, tag: str) -> None:
        english = re.compile(
            r"CANCELLED:|\(Full\)|left\)|Instructors?:|Course:|Booking|waiting list|Book:|Booked:"
            r"|\d of |Join:|Manage:|times,|studio's|Classes|Tue|Sep\b|Times|Nothing|known"
        )
        for suffix in FORMATS:
            assert english.search(feed("en", suffix))
            assert not english.search(feed(tag, suffix).replace("STATUS:CANCELLED", "")), suffix
        empty = {"sessions": (), "kind": Kind.VENUE, "identity": 99}
        for suffix in ("ics", "txt"):
            assert not english.search(feed(tag, suffix, **empty))

    @pytest.mark.parametrize("tag", TAGS)
    def test_counts_are_numbers_in_json(self, tag: str) -> None:
        places = {item["session"]: item["availability"] for item in json.loads(feed(tag, "json"))}
        assert places == {1: 7, 2: "full", 3: None, 4: None}

    def test_an_object_that_is_not_known_is_named_in_the_language_and_noticed_in_english(
        self,
    ) -> None:
        german = spec(Kind.VENUE, 99, language=language("de"))
        unknown = content(snapshot(), german)
        assert unknown.notice == "no class of venue 99 is known"
        assert FORMATS["txt"].render(unknown).decode() == (
            "Standort 99\nEs findet nichts statt.\nZu Standort 99 ist kein Termin bekannt.\n"
        )

    @pytest.mark.parametrize("tag", TAGS)
    def test_a_trimmed_calendar_says_so_and_is_not_too_large(self, tag: str) -> None:
        sessions = [
            published(session(number, start=START + timedelta(days=number))) for number in range(99)
        ]
        whole = content(snapshot(*sessions), spec(language=language(tag)))
        for limit in range(20_000, 21_000, 50):
            trimmed = trim_to_size(whole, max_bytes=limit, day=START.date())
            assert len(ICS.render(trimmed)) <= limit
            day = trimmed.shown[-1].session.start.date()
            assert language(tag).month_day(day) in trimmed.trim_note

    def test_days_of_txt_are_those_of_the_language(self) -> None:
        assert language("de").short_day(date(2026, 10, 20), year=True) in feed("de", "txt")


@pytest.mark.parametrize(("tag", "name"), [("en", "Venue 11"), ("fr", "Lieu 11")])
def test_items_without_a_name_are_named_in_the_language(tag: str, name: str) -> None:
    nameless = session(venue=replace(HALL, name=""))
    [venue] = catalogue_of([nameless], language(tag))["venues"]
    assert venue.name == name
