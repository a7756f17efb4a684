"""The language of pages: chosen by the address or by the header of the request."""

import re

import pytest
from web.pages import page

from bridge.languages import translated


def test_a_page_and_its_links_use_it(site):
    found = page(site, "/venues/12?lang=de")
    assert found.all("html")[0]["lang"] == "de"
    assert "Abonnieren" in found.text
    assert "Dienstag 24. November Morgen" in found.text
    inner = [link for link in found.links if link.startswith("/sessions/")]
    assert inner
    assert all(link.endswith("lang=de") for link in inner)


def test_without_the_parameter_the_header_decides(site):
    german = page(site, "/", **{"Accept-Language": "de-CH,de;q=0.9,en;q=0.5"})
    assert "Kurse im eigenen Kalender" in german.text
    assert "Classes in your calendar" in page(site, "/").text


def test_error_pages_use_it(site):
    found = page(site, "/nowhere", 404, **{"Accept-Language": "de"})
    assert "Unter dieser Adresse wurde nichts gefunden" in found.text


@pytest.mark.parametrize("tag", ["en", "de"])
def test_the_language_can_be_changed_on_the_page(site, tag):
    found = page(site, "/sessions?venues=12,13&view=week&from=2026-12-01")
    [link] = [a["href"] for a in found.all("a") if a.get("hreflang") == tag]
    other = page(site, link)
    assert other.all("html")[0]["lang"] == tag
    for parameter in ("venues=12&venues=13", "view=week", "from=2026-12-01"):
        assert parameter in link


def test_dates_in_another_language_than_the_texts_are_marked(site):
    source = page(site, "/venues/12?lang=ar").source
    assert '<span class="weekday" lang="ar" dir="rtl">' in source
    assert '<html lang="en" dir="ltr">' in source


@pytest.mark.parametrize("tag", ["en", "de", "fr", "ar", "fa", "he", "ja", "zh-Hant", "hi", "sw"])
def test_pages_are_valid_in_every_locale(site, tag):
    for path in ("/", "/venues/12?view=week", "/embed/sessions", "/sessions"):
        separator = "&" if "?" in path else "?"
        assert page(site, f"{path}{separator}lang={tag}")


def test_the_calendars_of_a_page_have_the_language_of_its_address(site):
    found = page(site, "/venues/12?view=week&lang=de-AT")
    [address] = [field["value"] for field in found.all("input") if field.get("id") == "address"]
    assert address.endswith("/venues/12-riverside-studio.ics?lang=de&_=.ics")
    feeds = [link for link in found.links if ".ics" in link or ".json" in link or ".txt" in link]
    assert len(feeds) >= 6
    assert all(re.search(r"lang(=|%3D)de", link) for link in feeds)
    assert "NAME:Riverside Studio" in site.get(address).text
    [alternate] = re.findall(r"<(.+?)>", site.get(address).headers["Link"])
    assert page(site, alternate).all("html")[0]["lang"] == "de"


@pytest.mark.parametrize(
    ("path", "accepted"), [("/venues/12", "de"), ("/venues/12?lang=ja", "de"), ("/?lang=en", "de")]
)
def test_otherwise_they_have_the_studios_language(site, path, accepted):
    found = page(site, path, **{"Accept-Language": accepted})
    assert not [link for link in found.links if ".ics" in link and "lang" in link]


def test_a_page_of_one_class_adds_it_in_the_language_of_its_address(site):
    [link, *_] = [link for link in page(site, "/venues/12").links if link.startswith("/sessions/")]
    found = page(site, f"{link}?lang=de")
    assert [file for file in found.links if file.endswith(f"{link}.ics?lang=de&_=.ics")]


def test_visitors_whose_language_has_no_translation_get_the_studios_language(site_of):
    german = site_of(feed_language=translated("de"))
    found = page(german, "/", **{"Accept-Language": "ja"})
    assert found.all("html")[0]["lang"] == "de"
    assert page(german, "/", **{"Accept-Language": "en"}).all("html")[0]["lang"] == "en"
    assert "ABGESAGT" in german.get("/sessions.ics").text
    assert "CANCELLED" in german.get("/sessions.ics?lang=en").text
    found = page(german, "/sessions?lang=en")
    assert [link for link in found.links if ".ics?lang=en&_=.ics" in link]


def test_the_embed_code_of_a_page_has_the_language_of_its_address(site):
    def frame(query):
        source = page(site, f"/venues/12{query}").source
        return re.search("&lt;iframe src=&#34;(.+?)&#34;", source)[1]

    assert frame("?lang=fr").endswith("/embed/venues/12-riverside-studio?lang=fr")
    for query in ("", "?lang=ja", "?lang=fr&embed_lang="):
        assert "lang=" not in frame(query)


def test_the_changes_of_a_page_have_the_language_of_its_address(site):
    found = page(site, "/venues/12/changes?lang=fr")
    assert "/venues/12/changes.atom?lang=fr&_=.atom" in found.links
