"""Timetables for the frames of other sites."""

import re

import pytest
from web.pages import page

from bridge.web.pages import colours

EMBEDS = ("/embed/venues/12", "/embed/instructors/11", "/embed/courses/51", "/embed/sessions")
each_embed = pytest.mark.parametrize("path", EMBEDS)


def ancestors(response):
    policy = response.headers["Content-Security-Policy"]
    return re.search("frame-ancestors ([^;]*)", policy)[1]


class TestTheFrame:
    @each_embed
    @pytest.mark.parametrize("view", ["agenda", "week"])
    def test_it_is_the_same_timetable(self, site, path, view):
        frame = page(site, f"{path}?view={view}")
        whole = page(site, f"{path.removeprefix('/embed')}?view={view}")
        classes = [
            one["href"] for one in whole.all("a") if re.match(r"/sessions/\d+$", one["href"])
        ]
        assert classes
        assert [link for link in frame.links if re.match(r"/sessions/\d+$", link)] == classes

    @each_embed
    def test_what_leads_out_of_it_opens_elsewhere(self, site, path):
        for one in page(site, path).all("a"):
            inside = one["href"].startswith("/embed/")
            assert (one.get("target") == "_blank") is not inside
            assert inside or one["rel"] == "noopener"

    @each_embed
    def test_going_on_keeps_its_manner(self, site, path):
        found = page(site, f"{path}?theme=dark&accent=c2410c&lang=de&view=week")
        [later] = [one["href"] for one in found.all("a") if one.get("rel") == "next"]
        for said in ("theme=dark", "accent=c2410c", "lang=de", "view=week", "from="):
            assert said in later
        assert page(site, later).all("html")[0]["data-theme"] == "dark"

    def test_it_leads_to_the_page_with_its_subscription(self, site):
        assert "/venues/12-riverside-studio#subscribe" in page(site, "/embed/venues/12").links

    @each_embed
    def test_search_engines_leave_it_to_the_page(self, site, path):
        assert site.get(path).headers["X-Robots-Tag"] == "noindex"
        assert "X-Robots-Tag" not in site.get(path.removeprefix("/embed")).headers

    @pytest.mark.parametrize(
        "query", ["theme=blue", "accent=red", "accent=12345", "accent=%23", "view=x", "lang=1"]
    )
    def test_a_setting_that_cannot_be_used_is_a_page_that_says_so(self, site, query):
        found = page(site, f"/embed/venues/12?{query}", 400)
        assert f"{query.split('=', maxsplit=1)[0]}:" in found.text


class TestWhoMayFrameIt:
    @each_embed
    def test_everybody_where_nobody_is_named(self, site, path):
        assert ancestors(site.get(path)) == "*"

    def test_those_who_are_named(self, site_of):
        client = site_of(
            embed_allowed_origins=("https://studio.example", "https://*.studio.example")
        )
        for path in ("/embed/venues/12", "/embed/venues/999", "/embed/venues/12?x&view=y"):
            told = ancestors(client.get(path))
            assert told == "https://studio.example https://*.studio.example"

    @pytest.mark.parametrize("path", ["/", "/venues/12", "/nowhere", "/sessions", "/embedded"])
    def test_other_pages_nobody(self, site, path):
        assert ancestors(site.get(path)) == "'none'"


class TestTheAccent:
    def test_its_style_is_a_file_of_the_bridges_own(self, site):
        links = page(site, "/embed/venues/12?accent=%23F80").links
        assert "/embed/accent/ff8800.css" in links
        response = site.get("/embed/accent/ff8800.css")
        assert response.headers["Content-Type"] == "text/css; charset=utf-8"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "--fill:#ff8800" in response.text

    @pytest.mark.parametrize("digits", ["red", "12345", "ff8800}", "%2e%2e", "ff88001"])
    def test_anything_else_is_no_style(self, site, digits):
        assert site.get(f"/embed/accent/{digits}.css").status_code in (400, 404)

    @pytest.mark.parametrize(
        "digits", ["000000", "ffffff", "ff8800", "ffeb3b", "0b5d57", "777777", "0000ff", "808080"]
    )
    @pytest.mark.parametrize("ground", [colours.LIGHT, colours.DARK])
    def test_it_can_be_read_whatever_it_is(self, digits, ground):
        one = colours.themed(digits, ground)
        assert colours.contrast(one.ink, ground) >= 4.5
        assert colours.contrast(one.on_fill, one.fill) >= 4.5

    def test_one_that_can_be_read_stays_as_it_is(self):
        assert colours.themed("0b5d57", colours.LIGHT).ink == "#0b5d57"


class TestTheScript:
    def test_other_sites_can_load_it(self, site):
        response = site.get("/embed.js")
        assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert "max-age=3600" in response.headers["Cache-Control"]
        again = site.get("/embed.js", headers={"If-None-Match": response.headers["ETag"]})
        assert again.status_code == 304


class TestAssets:
    def test_their_addresses_change_with_them_so_they_keep_for_ever(self, site):
        [style] = [link for link in page(site, "/").links if link.endswith("/site.css")]
        response = site.get(style)
        assert "immutable" in response.headers["Cache-Control"]
        assert response.headers["Content-Type"] == "text/css; charset=utf-8"
        zipped = site.get(style, headers={"Accept-Encoding": "gzip"})
        assert zipped.headers["Content-Encoding"] == "gzip"
        assert len(zipped.data) < len(response.data) / 2

    def test_an_earlier_version_is_what_there_is_now_and_not_for_long(self, site):
        response = site.get("/static/0000000000/site.css")
        assert response.status_code == 200
        assert response.headers["Cache-Control"] == "public, max-age=300"

    @pytest.mark.parametrize(
        "path", ["/static/x/nothing.css", "/static/x/..%2fpages.py", "/static/site.css", "/static/"]
    )
    def test_nothing_else_is_there(self, site, path):
        assert site.get(path).status_code == 404
