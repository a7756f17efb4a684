"""Embedded timetables, accent colours, the embed script and assets."""

import html
import re

import pytest
from web.pages import Page, page

from bridge.web.pages.accent import DARK, LIGHT, contrast, themed
from bridge.web.pages.embed_options import FONTS, SYSTEM

EMBEDS = ("/embed/venues/12", "/embed/instructors/11", "/embed/courses/51", "/embed/sessions")
each_embed = pytest.mark.parametrize("path", EMBEDS)


def ancestors(response):
    policy = response.headers["Content-Security-Policy"]
    return re.search("frame-ancestors ([^;]*)", policy)[1]


def snippet(client, path):
    """The attributes of the frame in the code on a page, and the lines of the code."""
    code = Page(html.unescape(code_on(page(client, path))))
    [frame] = code.all("iframe")
    return frame, code.source.splitlines()


def code_on(found):
    return re.search(r'<textarea id="code"[^>]*>(.*?)</textarea>', found.source, re.DOTALL)[1]


class TestFrame:
    @each_embed
    @pytest.mark.parametrize("view", ["agenda", "week", "month"])
    def test_it_shows_the_timetable_of_the_page(self, site, path, view):
        frame = page(site, f"{path}?view={view}")
        whole = page(site, f"{path.removeprefix('/embed')}?view={view}")
        classes = [a["href"] for a in whole.all("a") if re.match(r"/sessions/\d+$", a["href"])]
        assert classes
        assert [link for link in frame.links if re.match(r"/sessions/\d+$", link)] == classes

    @each_embed
    def test_links_to_other_pages_open_in_a_new_tab(self, site, path):
        for a in page(site, path).all("a"):
            inside = a["href"].startswith("/embed/")
            assert (a.get("target") == "_blank") is not inside
            assert inside or a["rel"] == "noopener"

    @each_embed
    def test_the_next_page_keeps_the_options(self, site, path):
        found = page(site, f"{path}?theme=dark&font=serif&accent=c2410c&lang=de&view=week")
        [later] = [a["href"] for a in found.all("a") if a.get("rel") == "next"]
        for parameter in (
            "theme=dark",
            "font=serif",
            "accent=c2410c",
            "lang=de",
            "view=week",
            "from=",
        ):
            assert parameter in later
        assert page(site, later).all("html")[0]["data-theme"] == "dark"

    @each_embed
    def test_by_default_it_is_light_and_has_the_font_of_the_system(self, site, path):
        [root] = page(site, path).all("html")
        assert (root["data-theme"], root["data-font"]) == ("light", "system")

    def test_it_follows_the_device_of_the_visitor_if_the_address_says_so(self, site):
        assert "data-theme" not in page(site, "/embed/venues/12?theme=auto").all("html")[0]

    @pytest.mark.parametrize("font", FONTS)
    def test_each_font_has_a_rule_in_the_style_sheet(self, site, font):
        found = page(site, f"/embed/venues/12?font={font}")
        assert found.all("html")[0]["data-font"] == font
        [style] = [link for link in found.links if link.endswith("/site.css")]
        assert font == SYSTEM or f'[data-font="{font}"]' in site.get(style).text

    def test_it_links_to_the_subscription_on_the_page(self, site):
        assert "/venues/12-riverside-studio#subscribe" in page(site, "/embed/venues/12").links

    @each_embed
    def test_search_engines_index_only_the_page(self, site, path):
        assert site.get(path).headers["X-Robots-Tag"] == "noindex"
        assert "X-Robots-Tag" not in site.get(path.removeprefix("/embed")).headers

    @pytest.mark.parametrize(
        "query",
        [
            "theme=blue",
            "font=Arial",
            "filters=yes",
            "accent=red",
            "accent=12345",
            "accent=%23",
            "view=x",
            "lang=1",
        ],
    )
    def test_invalid_parameters_are_reported(self, site, query):
        found = page(site, f"/embed/venues/12?{query}", 400)
        assert f"{query.split('=', maxsplit=1)[0]}:" in found.text


class TestFilters:
    """Those of visitors, in a frame."""

    @each_embed
    def test_by_default_there_are_none(self, site, path):
        found = page(site, path)
        assert found.all("form") == []
        assert not any("aria-current" in a for a in found.all("a"))

    def test_they_keep_the_settings_of_the_frame(self, site):
        settings = "view=month&theme=dark&font=serif&accent=c2410c&lang=de"
        found = page(site, f"/embed/venues/12?{settings}&filters=on")
        [form] = found.all("form")
        assert form["action"] == "/embed/venues/12-riverside-studio"
        fields = {tag["name"]: tag["value"] for tag in found.all("input")}
        kept = dict(pair.split("=") for pair in f"{settings}&filters=on&fixed=".split("&"))
        assert kept.items() <= fields.items()
        inside = [link for link in found.links if link.startswith("/embed/venues")]
        # each view, the months before and after, each day
        assert len(inside) > 3 + 2 + 20
        for link in inside:
            assert "theme=dark&font=serif&accent=c2410c&filters=on&fixed=&lang=de" in link

    def test_an_empty_form_changes_nothing(self, site):
        filters = "time_from=&time_until=&offering_types=&instructors=&rooms="
        empty = f"{filters}&lang=&view=&from=&theme=&font=&accent="
        plain = page(site, "/embed/venues/12?filters=on&fixed=")
        assert page(site, f"/embed/venues/12?filters=on&fixed=&{empty}").source == plain.source

    def test_what_the_code_selects_cannot_be_changed(self, site):
        first = page(site, "/embed/sessions?weekdays=tue&time_from=06:00&filters=on")
        fields = [tag["name"] for tag in first.all("input")]
        # in hidden fields, once
        assert fields.count("weekdays") == fields.count("time_from") == 1
        assert "time_until" not in fields
        assert {tag["name"] for tag in first.all("select")} == {
            "offering_types", "instructors", "venues",
        }  # fmt: skip
        assert 'class="active"' not in first.source
        [fixed] = [tag["value"] for tag in first.all("input") if tag["name"] == "fixed"]
        chosen = f"weekdays=tue&time_from=06:00&filters=on&fixed={fixed}&venues=12"
        second = page(site, f"/embed/sessions?{chosen}")
        [active] = re.findall(r'<ul class="active".*?</ul>', second.source, re.DOTALL)
        [without] = Page(active).links
        assert page(site, without).source == first.source

    def test_a_name_that_is_no_filter_is_reported(self, site):
        found = page(site, "/embed/sessions?filters=on&fixed=weekday", 400)
        assert "fixed: 'weekday' is not the name of a filter" in found.text

    @pytest.mark.parametrize("filters", ["off", "on"])
    def test_a_day_of_a_month_opens_where_visitors_find_back(self, site, filters):
        found = page(site, f"/embed/venues/12?view=month&theme=dark&filters={filters}")
        [day] = [a for a in found.all("a") if a["href"].count("from=2026-11-24")]
        assert (day.get("target") == "_blank") is (filters == "off")
        inside = "theme=dark&filters=on&fixed="
        expected = {
            "off": "/venues/12-riverside-studio?from=2026-11-24",
            "on": f"/embed/venues/12-riverside-studio?from=2026-11-24&{inside}",
        }
        assert day["href"] == expected[filters]


class TestFrameAncestors:
    @each_embed
    def test_by_default_all_sites_may_embed_it(self, site, path):
        assert ancestors(site.get(path)) == "*"

    def test_only_the_configured_origins_may_embed_it(self, site_of):
        client = site_of(
            embed_allowed_origins=("https://studio.example", "https://*.studio.example")
        )
        for path in ("/embed/venues/12", "/embed/venues/999", "/embed/venues/12?x&view=y"):
            assert ancestors(client.get(path)) == (
                # The page of the timetable shows a preview.
                "'self' https://studio.example https://*.studio.example"
            )

    @pytest.mark.parametrize("path", ["/", "/venues/12", "/nowhere", "/sessions", "/embedded"])
    def test_other_pages_cannot_be_embedded(self, site, path):
        assert ancestors(site.get(path)) == "'none'"


class TestBuilder:
    def test_the_code_is_a_frame_and_an_optional_script(self, site_of):
        client = site_of(public_base_url="https://calendar.example.org")
        _, [frame, script] = snippet(client, "/venues/12")
        assert frame == (
            '<iframe src="https://calendar.example.org/embed/venues/12-riverside-studio"'
            ' title="Timetable: Riverside Studio" width="100%" height="600" loading="lazy"'
            ' style="border:0;color-scheme:light"></iframe>'
        )
        assert script == '<script src="https://calendar.example.org/embed.js" async></script>'

    def test_the_code_has_the_chosen_settings(self, site):
        query = "embed_view=month&embed_theme=dark&embed_font=serif&embed_accent=%23c2410c"
        more = "embed_filters=on&embed_lang=de&embed_height=450"
        frame, lines = snippet(site, f"/venues/12?{query}&{more}")
        expected = "?view=month&theme=dark&font=serif&accent=c2410c&filters=on&lang=de"
        assert frame["src"].endswith(f"/embed/venues/12-riverside-studio{expected}")
        assert frame["title"] == "Stundenplan: Riverside Studio"
        assert (frame["height"], frame["style"]) == ("450", "border:0;color-scheme:dark")
        # The script would change the height.
        assert len(lines) == 1
        assert page(site, frame["src"]).all("html")[0]["data-theme"] == "dark"

    def test_the_view_of_the_page_is_that_of_the_code(self, site):
        frame, _ = snippet(site, "/venues/12?view=week")
        assert frame["src"].endswith("?view=week")
        frame, _ = snippet(site, "/venues/12?view=week&embed_view=agenda")
        assert "view" not in frame["src"]

    def test_the_form_has_the_settings_and_keeps_the_address_of_the_page(self, site):
        path = "/sessions?venues=12,13&view=week&lang=de&embed_font=mono&embed_accent=f80"
        found = page(site, path)
        [form] = [form for form in found.all("form") if "data-embed-builder" in form]
        assert form["action"] == "/sessions#embed"
        fields = {(tag["name"], tag["value"]) for tag in found.all("input") if "name" in tag}
        assert fields >= {
            ("venues", "12"), ("venues", "13"), ("view", "week"), ("lang", "de"),
            ("embed_accent", "#ff8800"),
        }  # fmt: skip
        selected = [tag["value"] for tag in found.all("option") if "selected" in tag]
        assert {"week", "light", "mono", "de"} <= set(selected)
        [preview] = [tag for tag in found.all("a") if "data-embed-preview" in tag]
        assert preview["href"] == (
            "/embed/sessions?venues=12&venues=13&view=week&font=mono&accent=ff8800&lang=de"
        )

    def test_fields_that_are_unchanged_are_not_in_the_code(self, site):
        query = "embed_view=agenda&embed_theme=light&embed_font=system&embed_accent=%230b5d57"
        frame, _ = snippet(site, f"/venues/12?{query}&embed_lang=&embed_height=")
        assert frame["src"].endswith("/embed/venues/12-riverside-studio")

    @pytest.mark.parametrize(
        "path",
        [
            "/venues/13", "/instructors/19", "/sessions?venues=12,13&offering_types=31",
            "/sessions?starts_at_gte=2026-12-01T10:00:00Z&time_from=17:30&weekdays=sat,sun",
        ],
    )  # fmt: skip
    def test_its_address_has_no_character_that_site_builders_change(self, site, path):
        settings = "embed_view=week&embed_theme=dark&embed_font=rounded&embed_accent=c2410c"
        separator = "&" if "?" in path else "?"
        found = page(site, f"{path}{separator}{settings}&embed_lang=de")
        code = html.unescape(code_on(found))
        written = re.search(' src="([^"]*)"', code)[1]
        assert not re.search("[,;%]", written)
        assert page(site, written).all("html")[0]["data-font"] == "rounded"

    @pytest.mark.parametrize(
        ("query", "accepted"),
        [
            ("embed_view=x", "agenda, week, month"),
            ("embed_filters=yes", "off, on"),
            ("embed_theme=puce", "light, dark, auto"),
            ("embed_font=Arial", "system, sans"),
            ("embed_accent=red", "hex digits"),
            ("embed_lang=tlh", "de, en"),
            ("embed_height=149", "150 to 3000"),
            ("embed_height=3001", "0 to 3000"),
            ("embed_height=1e3", "0 to 3000"),
            ("embed_height=400&embed_height=500", "exactly one value"),
        ],
    )
    def test_invalid_settings_are_reported(self, site, query, accepted):
        text = page(site, f"/venues/12?{query}", 400).text
        assert f"{query.split('=', maxsplit=1)[0]}:" in text
        assert accepted in text

    @pytest.mark.parametrize("language", ["en", "de"])
    def test_names_in_the_code_are_escaped_once(self, site, language):
        frame, _ = snippet(site, f"/venues/13?lang={language}")
        assert frame["title"].endswith(": The Old Chapel; Café & Gym")

    def test_the_accent_of_the_studio_is_the_default(self, site_of):
        client = site_of(studio_color="c2410c")
        [field] = [tag for tag in page(client, "/venues/12").all("input") if tag["type"] == "color"]
        assert field["value"] == "#c2410c"
        frame, _ = snippet(client, "/venues/12?embed_accent=%23c2410c")
        assert "accent" not in frame["src"]


class TestAccent:
    def test_it_is_a_style_sheet(self, site):
        links = page(site, "/embed/venues/12?accent=%23F80").links
        assert "/embed/accent/ff8800.css" in links
        response = site.get("/embed/accent/ff8800.css")
        assert response.headers["Content-Type"] == "text/css; charset=utf-8"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "--fill:#ff8800" in response.text

    @pytest.mark.parametrize("digits", ["red", "12345", "ff8800}", "%2e%2e", "ff88001"])
    def test_invalid_colours_are_rejected(self, site, digits):
        assert site.get(f"/embed/accent/{digits}.css").status_code in (400, 404)

    @pytest.mark.parametrize(
        "digits", ["000000", "ffffff", "ff8800", "ffeb3b", "0b5d57", "777777", "0000ff", "808080"]
    )
    @pytest.mark.parametrize("ground", [LIGHT, DARK])
    def test_its_contrast_is_sufficient(self, digits, ground):
        accent = themed(digits, ground)
        assert contrast(accent.ink, ground) >= 4.5
        assert contrast(accent.on_fill, accent.fill) >= 4.5

    def test_a_readable_accent_is_unchanged(self):
        assert themed("0b5d57", LIGHT).ink == "#0b5d57"


class TestScript:
    def test_other_sites_can_load_it(self, site):
        response = site.get("/embed.js")
        assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert "max-age=3600" in response.headers["Cache-Control"]
        again = site.get("/embed.js", headers={"If-None-Match": response.headers["ETag"]})
        assert again.status_code == 304


class TestAssets:
    def test_they_have_versioned_addresses_and_are_immutable(self, site):
        [style] = [link for link in page(site, "/").links if link.endswith("/site.css")]
        response = site.get(style)
        assert "immutable" in response.headers["Cache-Control"]
        assert response.headers["Content-Type"] == "text/css; charset=utf-8"
        zipped = site.get(style, headers={"Accept-Encoding": "gzip"})
        assert zipped.headers["Content-Encoding"] == "gzip"
        assert len(zipped.data) < len(response.data) / 2

    def test_an_old_address_gives_the_current_file_for_a_short_time(self, site):
        response = site.get("/static/0000000000/site.css")
        assert response.status_code == 200
        assert response.headers["Cache-Control"] == "public, max-age=300"

    @pytest.mark.parametrize(
        "path", ["/static/x/nothing.css", "/static/x/..%2fpages.py", "/static/site.css", "/static/"]
    )
    def test_other_addresses_are_404(self, site, path):
        assert site.get(path).status_code == 404
