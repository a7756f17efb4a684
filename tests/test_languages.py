"""Languages: negotiation, date formats and translations."""

import string
import tomllib
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from babel import Locale, localedata
from werkzeug.datastructures import LanguageAccept

from bridge import languages
from bridge.errors import ParameterError
from bridge.languages import Language

FILES = sorted(Path(languages.__file__).parent.glob("locales/*.toml"))
[ENGLISH] = [tomllib.loads(path.read_text("utf-8")) for path in FILES if path.stem == "en"]

LONDON = ZoneInfo("Europe/London")
EVENING = datetime(2026, 11, 23, 18, 30, tzinfo=LONDON)
LATER = datetime(2026, 11, 23, 19, 45, tzinfo=LONDON)


def language(lang=None, *accepted, fallback="en"):
    qualities = [(tag, 1 - number / 10) for number, tag in enumerate(accepted)]
    return languages.negotiate(lang, LanguageAccept(qualities), languages.translated(fallback))


class TestNegotiation:
    @pytest.mark.parametrize(
        ("lang", "accepted", "tag", "locale_tag"),
        [
            (None, (), "en", "en-GB"),
            (None, ("de",), "de", "de"),
            (None, ("de-AT", "en"), "de", "de-AT"),
            (None, ("en-US",), "en", "en-US"),
            (None, ("en",), "en", "en-GB"),
            (None, ("fr-CA", "de", "en"), "fr", "fr-CA"),
            (None, ("fi", "de", "en"), "de", "fi"),
            (None, ("fi",), "en", "fi"),
            (None, ("*",), "en", "en-GB"),
            (None, ("xx", "de"), "de", "de"),
            (None, ("zh-TW",), "en", "zh-Hant-TW"),
            ("de", ("en-US",), "de", "de"),
            ("ar", ("de",), "de", "ar"),
            ("pt_BR", (), "pt", "pt-BR"),
            ("DE-at", (), "de", "de-AT"),
        ],
    )
    def test_the_parameter_takes_precedence_over_the_header(self, lang, accepted, tag, locale_tag):
        chosen = language(lang, *accepted)
        assert (chosen.tag, chosen.locale_tag) == (tag, locale_tag)

    @pytest.mark.parametrize(
        ("lang", "accepted", "tag", "locale_tag"),
        [
            (None, (), "de", "de-AT"),
            (None, ("*", "xx"), "de", "de-AT"),
            (None, ("ja",), "de", "ja"),
            ("ja", (), "de", "ja"),
            (None, ("en-US",), "en", "en-US"),
        ],
    )
    def test_without_a_translation_the_fallback_is_used(self, lang, accepted, tag, locale_tag):
        chosen = language(lang, *accepted, fallback="de-AT")
        assert (chosen.tag, chosen.locale_tag) == (tag, locale_tag)

    @pytest.mark.parametrize(
        ("lang", "tag", "locale_tag"),
        [
            ("de", "de", "de"),
            ("de-AT", "de", "de-AT"),
            ("EN", "en", "en-GB"),
            ("en_US", "en", "en-US"),
        ],
    )
    def test_a_tag_with_a_region_has_the_translation_of_its_language(self, lang, tag, locale_tag):
        found = languages.translated(lang)
        assert (found.tag, found.locale_tag) == (tag, locale_tag)

    @pytest.mark.parametrize("lang", ["ja", "", "klingon!", "xx"])
    def test_a_language_without_a_translation_has_none(self, lang):
        assert languages.translated(lang) is None

    @pytest.mark.parametrize("lang", ["", "klingon!", "x", "de" * 40, "../../etc", "qq", "1"])
    def test_invalid_languages_are_rejected(self, lang):
        with pytest.raises(ParameterError) as error:
            language(lang)
        assert error.value.parameter == "lang"

    def test_the_number_of_loaded_locales_is_limited(self, monkeypatch):
        monkeypatch.setattr(languages, "_loaded", set())
        loaded = {str(language(tag).locale) for tag in localedata.locale_identifiers()}
        assert len(loaded) <= 150 + len(languages.available())

    def test_at_the_limit_dates_are_in_the_language_of_the_texts(self, monkeypatch):
        monkeypatch.setattr(languages, "_loaded", {str(number) for number in range(150)})
        for tag in languages.available():
            assert language(tag).locale.language == tag
            assert language(None, f"{tag}-{tag}", "en").locale.language == tag
        assert language("de-AT").locale_tag == "de"
        assert language("en-US").locale_tag == "en-GB"
        assert language("fi").locale_tag == "en-GB"
        assert language("fi", fallback="de-AT").locale_tag == "de"
        # The default language of the deployment is not limited.
        assert language("de-AT", fallback="de-AT").locale_tag == "de-AT"
        assert language(fallback="de-AT").locale_tag == "de-AT"

    def test_the_locales_of_the_translations_do_not_count(self, monkeypatch):
        monkeypatch.setattr(languages, "_loaded", set())
        for tag in (*languages.available(), "de-AT"):
            language(tag, fallback="de-AT")
        assert languages._loaded == set()


class TestDatesAndTimes:
    @pytest.mark.parametrize(
        ("tag", "times"),
        [
            ("en-GB", "18:30–19:45"),
            ("de", "18:30–19:45"),
            ("en-US", "6:30\u2009–\u20097:45\u202fPM"),
            ("fi", "18.30–19.45"),
        ],
    )
    def test_times_are_those_of_the_locale(self, tag, times):
        assert language(tag).times(EVENING, LATER) == times

    def test_a_class_without_an_end_shows_its_start(self):
        assert language("en-GB").times(EVENING, None) == "18:30"

    @pytest.mark.parametrize(
        ("tag", "days", "listed"),
        [
            ("en", "18:00 – Sun 1 Nov, 12:00", "Fri 30 Oct, 18:00 – Sun 1 Nov, 12:00"),
            ("de", "18:00 – So., 1. Nov., 12:00", "Fr., 30. Okt., 18:00 – So., 1. Nov., 12:00"),
        ],
    )
    def test_an_end_on_another_day_is_written_with_its_day(self, tag, days, listed):
        start = datetime(2026, 10, 30, 18, tzinfo=LONDON)
        end = datetime(2026, 11, 1, 12, tzinfo=LONDON)
        assert language(tag).times(start, end) == days
        assert language(tag).times(start, end, start.date()) == days
        assert language(tag).times(start, end, end.date()) == listed

    def test_a_night_ends_without_a_day(self):
        start = datetime(2026, 11, 1, 22, tzinfo=LONDON)
        assert language("en").times(start, start + timedelta(hours=5)) == "22:00–03:00"

    def test_a_class_during_a_clock_change_shows_both_times(self):
        start = datetime(2026, 10, 25, 0, 30, tzinfo=LONDON)
        end = datetime(2026, 10, 25, 1, 30, fold=1, tzinfo=LONDON)
        assert language("en-GB").times(start, end) == "00:30 – 01:30"

    @pytest.mark.parametrize(
        ("tag", "first"),
        [
            ("en-GB", 0), ("en-US", 6), ("en", 0), ("de", 0), ("ar-EG", 5), ("ar", 5), ("pt-BR", 6),
            ("he", 6), ("zh-TW", 6),
        ],
    )  # fmt: skip
    def test_the_first_day_of_the_week_depends_on_the_locale(self, tag, first):
        assert language(tag).first_weekday(None) == first

    @pytest.mark.parametrize(
        ("tag", "zone", "first"),
        [
            ("en", "America/New_York", 6), ("de", "US/Eastern", 6), ("en", "Europe/London", 0),
            ("en-US", "Europe/London", 6), ("de-AT", "America/New_York", 0), ("ar", "UTC", 5),
            ("en", "Pacific/Palau", 0), ("en", "Mars/Olympus", 0),
        ],
    )  # fmt: skip
    def test_in_a_language_of_several_territories_the_zone_decides(self, tag, zone, first):
        assert language(tag).first_weekday(zone) == first

    def test_names_of_weekdays_that_a_language_lacks_are_not_taken_from_another(self):
        tags = ["fy", "es", "it", "de", "fr", "fi"]
        expected = ["moandei", "lunes", "lunedì", "Montag", "lundi", "maanantai"]
        assert [language(tag).weekday(0) for tag in tags] == expected
        assert [language(tag).weekday(0) for tag in reversed(tags)] == expected[::-1]

    @pytest.mark.parametrize(
        ("tag", "weekday"),
        [("en", "Monday"), ("de", "Montag"), ("fr", "lundi"), ("ja", "月曜日"), ("ar", "الاثنين")],
    )
    def test_weekdays_depend_on_the_locale(self, tag, weekday):
        assert language(tag).weekday(date(2026, 11, 23)) == weekday

    @pytest.mark.parametrize(
        ("tag", "text"),
        [
            ("en", "Tue 1 Sep 2026"),
            ("en-US", "Tue, Sep 1, 2026"),
            ("de", "Di., 1. Sept. 2026"),
            ("fr", "mar. 1 sept. 2026"),
            ("pt", "ter., 1 de set. de 2026"),
        ],
    )
    def test_a_short_day_is_that_of_the_locale(self, tag, text):
        assert language(tag).short_day(date(2026, 9, 1), year=True) == text
        assert text.startswith(language(tag).short_day(date(2026, 9, 1)))

    def test_all_locales_can_be_used(self):
        for tag in localedata.locale_identifiers():
            locale = Locale.parse(tag)
            self.format_everything(Language("en", locale, languages.available()["en"]))

    @staticmethod
    def format_everything(lang):
        assert lang.times(EVENING, LATER)
        assert lang.days(EVENING.date(), date(2027, 1, 3))
        assert lang.full(EVENING.date())
        assert lang.month_day(EVENING.date())
        assert lang.weekday(EVENING.date())
        assert lang.short_day(EVENING.date())
        assert lang.short_day(EVENING.date(), year=True)
        assert lang.date_time(EVENING)
        assert lang.place("Asia/Tokyo")

    def test_a_zone_is_shown_as_its_city(self):
        assert language("de").place("Europe/Vienna") == "Wien"
        assert language("en").place("UTC") == "UTC"
        assert language("iu-Latn").place("America/New_York") == "New York"

    def test_the_name_of_a_city_is_in_the_language_of_the_texts(self):
        assert language("ar").place("Europe/London") == "London"

    @pytest.mark.parametrize(
        ("tag", "text"),
        [
            ("en-GB", "23 Nov 2026, 18:30"),
            ("de", "23.11.2026, 18:30"),
            ("fr", "23 nov. 2026, 18:30"),
        ],
    )
    def test_date_and_time_are_shown_to_the_minute(self, tag, text):
        assert language(tag).date_time(EVENING) == text


class TestTranslations:
    def test_seven_languages_exist(self):
        assert list(languages.available()) == ["de", "en", "es", "fr", "it", "nl", "pt"]

    @pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
    def test_each_has_all_texts_with_their_placeholders_and_plural_forms(self, path):
        texts = tomllib.loads(path.read_text("utf-8"))
        assert list(texts) == list(ENGLISH)
        locale = Locale.parse(path.stem, sep="-")
        # Some languages have a further category for millions, which no text counts.
        forms = {locale.plural_form(count) for count in range(1000)}
        for key, text in texts.items():
            assert type(text) is type(ENGLISH[key]), key
            assert placeholders(text) == placeholders(ENGLISH[key]), key
            assert isinstance(text, str) or text.keys() == forms, key

    @pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
    def test_none_was_left_in_english(self, path):
        texts = tomllib.loads(path.read_text("utf-8"))
        same = [
            key
            for key, text in texts.items()
            if text == ENGLISH[key] and len(str(text).split()) > 4
        ]
        assert path.stem == "en" or not same

    @pytest.mark.parametrize(("count", "text"), [(1, "1 place left"), (2, "2 places left")])
    def test_the_count_selects_the_plural_form(self, count, text):
        assert language("en")("spots", count) == text

    def test_plain_texts_are_not_escaped(self):
        assert language("en").plain("event_full", title="<b> {x}") == "<b> {x} (Full)"

    def test_inserted_values_are_escaped(self):
        assert "&lt;b&gt;" in language("en")("timetable_title", name="<b>")

    def test_a_new_language_needs_only_a_file(self, monkeypatch, tmp_path):
        for path in languages._FOLDER.glob("*.toml"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
        (tmp_path / "ar.toml").write_text('language = "العربية"\nsubscribe = "اشترك"\n', "utf-8")
        monkeypatch.setattr(languages, "_FOLDER", tmp_path)
        languages.available.cache_clear()
        try:
            arabic = language("ar-EG")
            assert (arabic.tag, arabic.direction) == ("ar", "rtl")
            assert arabic("subscribe") == "اشترك"
            assert arabic("book") == "Book"
        finally:
            languages.available.cache_clear()


def placeholders(text):
    forms = text.values() if isinstance(text, dict) else [text]
    return {name for form in forms for _, name, _, _ in string.Formatter().parse(form) if name}
