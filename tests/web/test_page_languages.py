"""The language of pages: chosen by the address or by the header of the request."""

import pytest
from web.pages import page


def test_a_page_and_its_links_use_it(site):
    found = page(site, "/venues/12?lang=de")
    assert found.all("html")[0]["lang"] == "de"
    assert "Abonnieren" in found.text
    assert "Dienstag 24. November Morgen" in found.text
    inner = [link for link in found.links if link.startswith("/sessions/")]
    assert inner
    assert all(link.endswith("lang=de") for link in inner)
    assert all("lang=" not in link for link in found.links if ".ics" in link)


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
