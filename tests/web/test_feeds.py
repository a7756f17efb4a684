"""Feeds over HTTP: routes, headers, caching and errors."""

import gzip
import json
import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient
from icalendar import Calendar

from bridge.config import Availability
from bridge.filters import FilterSet
from bridge.snapshots.freshness import FreshnessPolicy

#: A Monday; its seven o'clock class is Vinyasa Flow at venue 12.
TODAY = date(2026, 11, 23)
SESSION = TODAY.toordinal() * 100 + 1
PATHS = ("/venues/12", "/instructors/11", "/courses/51", f"/sessions/{SESSION}", "/sessions")
FORMS = ("ics", "json", "txt")
MIME_TYPES = {
    "ics": "text/calendar; charset=utf-8",
    "json": "application/json",
    "txt": "text/plain; charset=utf-8",
}
each_form = pytest.mark.parametrize("form", FORMS)
each_path = pytest.mark.parametrize("path", PATHS)


def summaries(body: bytes) -> list[str]:
    return [str(event["SUMMARY"]) for event in Calendar.from_ical(body).walk("VEVENT")]


def name_of(body: bytes) -> str:
    return str(Calendar.from_ical(body)["NAME"])


def until(holds: Callable[[], bool], what: str, seconds: float = 15) -> None:
    """Wait until *holds* returns true; fail after *seconds*."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} seconds"
        threading.Event().wait(0.01)


def cache_status(client: FlaskClient, path: str = "/venues/12.ics") -> str:
    response = client.get(path)
    assert response.status_code == 200
    return response.headers["Cache-Status"]


def test_a_venues_feed_contains_its_public_sessions(client, studio):
    response = client.get("/venues/12.ics")
    assert response.status_code == 200
    events = Calendar.from_ical(response.data).walk("VEVENT")
    assert len(events) > 20
    assert all("Riverside" in str(event["LOCATION"]) for event in events)


class TestRoutes:
    @each_form
    @each_path
    def test_every_feed_exists_in_every_format(self, site, path, form):
        response = site.get(f"{path}.{form}")
        assert response.status_code == 200
        assert response.headers["Content-Type"] == MIME_TYPES[form]
        assert "Vinyasa Flow" in response.text

    @each_path
    def test_all_formats_contain_the_same_sessions(self, site, path):
        events = Calendar.from_ical(site.get(f"{path}.ics").data).walk("VEVENT")
        objects = site.get(f"{path}.json").json
        lines = site.get(f"{path}.txt").text.splitlines()
        assert [str(event["UID"]) for event in events] == [obj["id"] for obj in objects]
        assert [str(event["SUMMARY"]) for event in events] == [obj["title"] for obj in objects]
        assert len([line for line in lines if line.startswith("  ")]) == len(events) > 0

    def test_each_feed_contains_the_sessions_of_its_address(self, site):
        assert all(obj["venue"]["id"] == 12 for obj in site.get("/venues/12.json").json)
        assert all(obj["course"]["id"] == 51 for obj in site.get("/courses/51.json").json)
        people = [obj["instructors"] for obj in site.get("/instructors/11.json").json]
        assert all(11 in [person["id"] for person in several] for several in people)
        [session] = site.get(f"/sessions/{SESSION}.json").json
        assert session["start"] == "2026-11-23T07:00:00Z"
        assert {obj["venue"]["id"] for obj in site.get("/sessions.json").json} == {12, 13, 14, 15}

    def test_the_default_window_is_thirty_days_back_and_ninety_ahead(self, site):
        sessions = site.get("/venues/12.json").json
        # In London the 24th of October begins at 23:00 UTC.
        assert "2026-10-23T23:00:00Z" <= min(obj["end"] for obj in sessions) < "2026-10-28"
        assert "2027-02-17" < max(obj["start"] for obj in sessions) < "2027-02-22"

    def test_a_course_has_no_default_window(self, site):
        starts = [obj["start"] for obj in site.get("/courses/51.json").json]
        assert min(starts) < "2026-10-24"
        assert max(starts) > "2027-02-22"

    def test_no_feed_contains_hidden_data(self, site):
        for path in (*PATHS, "/venues/13", "/venues/15", "/courses/56", "/courses/57"):
            for form in FORMS:
                text = site.get(f"{path}.{form}").text
                for secret in (
                    "Members' Open Gym", "Staff Training", "Breathwork", "join-secret",
                    "staff.studio.example", "attending", "max_occupancy", "instructor-11-secret",
                ):  # fmt: skip
                    assert secret not in text

    @pytest.mark.parametrize("course", [56, 57, 58])
    def test_a_hidden_course_looks_like_an_unknown_one(self, site, course):
        hidden, unknown = site.get(f"/courses/{course}.ics"), site.get("/courses/9.ics")
        assert hidden.status_code == unknown.status_code == 200
        assert name_of(hidden.data) == f"Course {course}"
        assert summaries(hidden.data) == summaries(unknown.data) == []

    @pytest.mark.parametrize(
        "slug", ["-riverside-studio", "-", "-a.b.c", "-Größe", "-12.json", "-x y"]
    )
    @each_form
    def test_the_slug_is_ignored(self, site, slug, form):
        plain, with_slug = site.get(f"/venues/12.{form}"), site.get(f"/venues/12{slug}.{form}")
        assert with_slug.status_code == 200
        assert with_slug.data == plain.data
        assert with_slug.headers["ETag"] == plain.headers["ETag"]
        assert with_slug.headers["Link"] == plain.headers["Link"]

    @pytest.mark.parametrize(
        ("path", "name"),
        [
            ("/venues/999.ics", "Venue 999"),
            ("/instructors/999.ics", "Instructor 999"),
            ("/instructors/22.ics", "Instructor 22"),
            ("/courses/999.ics", "Course 999"),
            ("/sessions/999.ics", "Class 999"),
            ("/venues/0.ics", "Venue 0"),
            (f"/venues/{2**63 - 1}.ics", f"Venue {2**63 - 1}"),
        ],
    )
    def test_an_unknown_id_gives_an_empty_calendar(self, site, path, name):
        response = site.get(path)
        assert response.status_code == 200
        assert name_of(response.data) == name
        assert summaries(response.data) == []
        assert b"VTIMEZONE" in response.data
        assert site.get(path.replace(".ics", ".json")).json == []
        assert site.get(path.replace(".ics", ".txt")).status_code == 200

    def test_an_empty_feed_keeps_its_name(self, site):
        response = site.get("/venues/14.ics?starts_at_gte=2027-06-01")
        assert response.status_code == 200
        assert name_of(response.data) == "Brooklyn Loft"
        assert summaries(response.data) == []

    def test_feeds_keep_their_names_after_months_without_sessions(self, client, clock):
        assert client.get("/venues/14.ics").status_code == 200
        clock.move(200 * 86400)
        until(lambda: int(client.get("/venues/14.ics").headers["Age"]) < 60, "a refresh")
        response = client.get("/venues/14.ics")
        assert response.status_code == 200
        assert name_of(response.data) == "Brooklyn Loft"
        assert summaries(response.data) == []

    @pytest.mark.parametrize(
        "path",
        [
            "/venues/12.ics/", "/sessions.ics/", "/venues/", "/venues", "/nowhere", "/healthz/",
            "/venues/abc.ics", "/venues/-1.ics", "/venues/12.xml", "/venues/12.ICS", "/venues/.ics",
            "/venues/12ics", "/venues/12/13.ics", "/venues/12_riverside.ics", "/a/anything.ics",
            f"/venues/{2**63}.ics", f"/venues/{10**19}.ics", "/venues/１２.ics", "/venues/1e1.ics",
            "/venue/12.ics", "/sessions/.ics", "/feed.json", "/notes.txt", "/favicon.ico",
            "/private/nobody.ics", "/../etc/passwd", "/venues/12.ics%00",
        ],
    )  # fmt: skip
    def test_other_addresses_are_404_without_a_redirect(self, site, path):
        response = site.get(path)
        assert response.status_code == 404
        assert "Location" not in response.headers
        assert response.headers["Cache-Control"] == "no-store"

    @pytest.mark.parametrize(
        "path", ["//venues/12.ics", "/venues//12.ics", "///evil.example/venues/12.ics", "//"]
    )
    def test_double_slashes_do_not_redirect(self, site, path):
        response = site.get("/", environ_overrides={"PATH_INFO": path})
        assert response.status_code in (200, 404)
        assert "Location" not in response.headers

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "REPORT"])
    @pytest.mark.parametrize("path", ["/venues/12.ics", "/sessions.json", "/", "/healthz"])
    def test_other_methods_are_405_with_the_allowed_ones(self, site, method, path):
        response = site.open(path, method=method, data=b"x")
        assert response.status_code == 405
        assert {"GET", "HEAD"} <= set(response.headers["Allow"].split(", "))
        assert response.headers["Cache-Control"] == "no-store"

    def test_no_response_sets_a_cookie(self, site):
        feeds = [f"{path}.{form}" for path in PATHS for form in FORMS]
        others = ["/", "/healthz", "/nowhere", "/sessions.ics?x=1", "/robots.txt", "/status"]
        for path in (*feeds, *others, "/venues/12"):
            for method in ("GET", "HEAD", "OPTIONS", "POST"):
                assert "Set-Cookie" not in site.open(path, method=method).headers

    @pytest.mark.parametrize(
        "accept", [None, "text/html", "image/png", "application/json", "", "x"]
    )
    @each_form
    def test_the_accept_header_is_ignored(self, site, accept, form):
        headers = {} if accept is None else {"Accept": accept}
        response = site.get(f"/venues/12.{form}", headers=headers)
        assert response.status_code == 200
        assert response.headers["Content-Type"] == MIME_TYPES[form]


class TestHeaders:
    @each_form
    @each_path
    def test_a_feed_has_every_header_of_the_contract(self, site, path, form):
        headers = site.get(f"{path}.{form}").headers
        assert re.fullmatch(r'"[!#-~]{16,}"', headers["ETag"])
        assert headers["Last-Modified"] == "Mon, 23 Nov 2026 12:00:00 GMT"
        assert headers["Cache-Control"] == (
            "public, max-age=300, stale-while-revalidate=3600, stale-if-error=604800"
        )
        assert headers["Age"] == "0"
        assert headers["Vary"] == "Accept-Encoding"
        assert re.fullmatch(r"bridge; (hit; ttl=\d+|fwd=miss; stored)", headers["Cache-Status"])
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Link"] == f'<{path}>; rel="alternate"; type="text/html"'
        assert "Content-Encoding" not in headers
        assert int(headers["Content-Length"]) == len(site.get(f"{path}.{form}").data)

    @pytest.mark.parametrize(
        ("path", "name"),
        [
            ("/venues/12.ics", "riverside-studio.ics"),
            ("/venues/13.json", "the-old-chapel-cafe-gym.json"),
            ("/instructors/19.ics", "classes.ics"),
            ("/sessions.txt", "classes.txt"),
            ("/sessions.ics?time_from=06:00&time_until=10:00", "classes-06-00-10-00.ics"),
            ("/venues/999.ics", "venue-999.ics"),
        ],
    )
    def test_the_file_name_is_the_feeds_name_in_ascii(self, site, path, name):
        disposition = site.get(path).headers["Content-Disposition"]
        assert disposition == f'inline; filename="{name}"'

    def test_the_link_is_absolute_with_a_base_url(self, site_of):
        client = site_of(public_base_url="https://calendar.example.org")
        link = client.get("/sessions.ics?venues=13,12").headers["Link"]
        page = "https://calendar.example.org/sessions?venues=12&venues=13"
        assert link == f'<{page}>; rel="alternate"; type="text/html"'

    def test_a_feed_whose_page_would_be_too_long_links_to_none(self, site):
        names = ("venues", "instructors")
        pairs = [(name, number) for name in names for number in range(1000, 1090)]
        path = f"/sessions.ics?{urlencode(pairs)}"
        response = site.get(path)
        assert response.status_code == 200
        assert "Link" not in response.headers
        assert site.get(path.replace(".ics", "")).status_code == 414

    def test_feeds_do_not_contain_the_host_of_the_request(self, site):
        headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
        response = site.get("/venues/12.ics", headers=headers)
        assert b"evil.example" not in response.data
        assert "evil.example" not in str(response.headers)
        assert response.data == site.get("/venues/12.ics").data

    def test_cache_control_follows_the_settings(self, site_of):
        client = site_of(cache_ttl=60, stale_while_revalidate=5, stale_if_error=7)
        assert client.get("/sessions.ics").headers["Cache-Control"] == (
            "public, max-age=60, stale-while-revalidate=5, stale-if-error=7"
        )

    @each_form
    def test_head_is_get_without_the_body(self, site, form):
        for headers in ({}, {"Accept-Encoding": "gzip"}):
            get = site.get(f"/venues/12.{form}", headers=headers)
            head = site.head(f"/venues/12.{form}", headers=headers)
            assert head.status_code == 200
            assert head.data == b""
            assert head.headers.pop("X-Request-Id") != get.headers.pop("X-Request-Id")
            assert dict(head.headers) == dict(get.headers)

    @each_form
    def test_a_preflight_allows_all_origins(self, site, form):
        response = site.options(
            f"/venues/12.{form}",
            headers={
                "Origin": "https://www.studio.example",
                "Access-Control-Request-Method": "GET",
                "Access-Control-Request-Headers": "if-none-match",
            },
        )
        assert response.status_code in (200, 204)
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "GET" in response.headers["Access-Control-Allow-Methods"]
        assert response.headers["Access-Control-Allow-Headers"] == "*"
        assert response.data == b""

    def test_scripts_of_other_origins_may_read_the_headers(self, site):
        exposed = site.get("/venues/12.json").headers["Access-Control-Expose-Headers"].split(", ")
        assert {"ETag", "Age", "Cache-Status", "Last-Modified", "Retry-After"} <= set(exposed)

    def test_scripts_of_other_origins_may_read_errors(self, site):
        response = site.get("/venues/12.json?venue=1")
        assert response.status_code == 400
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "Retry-After" in response.headers["Access-Control-Expose-Headers"].split(", ")


class TestCompression:
    @pytest.mark.parametrize(
        ("accepted", "gzipped"),
        [
            (None, False),
            ("", False),
            ("gzip", True),
            ("GZIP", True),
            ("gzip, deflate, br", True),
            ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
            ("gzip;q=0.001", True),
            ("*", True),
            ("identity;q=0, gzip", True),
            ("identity;q=0.5, gzip;q=1.0", True),
            ("gzip;q=0", False),
            ("gzip;q=0.0, identity", False),
            ("gzip;q=0, *", False),
            ("*;q=0.5, gzip;q=0", False),
            ("*;q=0", False),
            ("identity", False),
            ("identity, *;q=0", False),
            ("deflate, br", False),
            ("gzipped", False),
            # RFC 9110, 12.5.3: the coding of the highest weight is preferred
            ("gzip;q=0.5, identity", False),
            ("identity;q=1.0, *;q=0.5", False),
        ],
    )
    @each_form
    def test_a_body_is_gzipped_on_request(self, site, accepted, gzipped, form):
        headers = {} if accepted is None else {"Accept-Encoding": accepted}
        response = site.get(f"/venues/12.{form}", headers=headers)
        plain = site.get(f"/venues/12.{form}")
        assert response.status_code == 200
        assert response.headers["Vary"] == "Accept-Encoding"
        assert response.headers["Content-Type"] == plain.headers["Content-Type"]
        assert (response.headers.get("Content-Encoding") == "gzip") == gzipped
        assert (gzip.decompress(response.data) if gzipped else response.data) == plain.data
        assert (len(response.data) < len(plain.data)) == gzipped

    @each_form
    def test_each_coding_has_its_own_strong_etag(self, site, form):
        plain = site.get(f"/venues/12.{form}").headers["ETag"]
        gzipped = site.get(f"/venues/12.{form}", headers={"Accept-Encoding": "gzip"}).headers[
            "ETag"
        ]
        assert plain != gzipped
        assert not plain.startswith("W/")
        assert not gzipped.startswith("W/")

    def test_etags_differ_by_feed_and_format(self, site):
        feeds = [f"/{path}.{form}" for path in ("venues/12", "venues/13") for form in FORMS]
        assert len({site.get(feed).headers["ETag"] for feed in feeds}) == len(feeds)

    @pytest.mark.parametrize("coding", ["identity", "gzip"])
    def test_two_machines_give_the_same_bytes_and_validators(self, site, site_of, clock, coding):
        clock.move(0.7)
        headers = {"Accept-Encoding": coding}
        # Links contain the upstream's address, which has another port in *site*.
        shared = site.get("/venues/12.ics", headers=headers)
        first = site_of().get("/venues/12.ics", headers=headers)
        assert len(shared.data) == pytest.approx(len(first.data), abs=200)
        second = site_of().get("/venues/12.ics", headers=headers)
        assert first.data == second.data
        for name in ("ETag", "Last-Modified", "Content-Length", "Content-Type"):
            assert first.headers[name] == second.headers[name]


def http_date(**shift: float) -> str:
    at = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC) + timedelta(**shift)
    return format_datetime(at, usegmt=True)


class TestConditionalRequests:
    @pytest.fixture(params=["identity", "gzip"])
    def fetch(self, request, site):
        """Requests a feed in one coding; ``{tag}`` in a header is replaced by its ETag."""
        tag = site.get("/venues/12.ics", headers={"Accept-Encoding": request.param}).headers["ETag"]

        def get(method: str = "GET", path: str = "/venues/12.ics", **conditions: str) -> Any:
            headers = {
                name.replace("_", "-"): value.replace("{tag}", tag)
                for name, value in conditions.items()
            }
            headers["Accept-Encoding"] = request.param
            return site.open(path, method=method, headers=headers)

        return get

    @pytest.mark.parametrize(
        ("given", "status"),
        [
            ("{tag}", 304),
            ("W/{tag}", 304),
            ('"other", {tag}', 304),
            ('W/"other",{tag}', 304),
            ('"a", "b" , W/{tag} , "c"', 304),
            ("*", 304),
            ('"other"', 200),
            ('W/"other"', 200),
            ('"*"', 200),
            ('""', 200),
            ('"other, {tag}"', 200),
        ],
    )
    def test_if_none_match_is_compared_weakly_with_each_tag(self, fetch, given, status):
        response = fetch(If_None_Match=given)
        assert response.status_code == status
        assert (response.data == b"") == (status == 304)

    @pytest.mark.parametrize(
        ("given", "status"),
        [
            (http_date(), 304),
            (http_date(seconds=1), 304),
            (http_date(days=400), 304),
            (http_date(seconds=-1), 200),
            (http_date(days=-400), 200),
            ("Monday, 23-Nov-26 12:00:00 GMT", 304),
            ("Mon Nov 23 12:00:00 2026", 304),
            ("Monday, 23-Nov-26 11:59:59 GMT", 200),
            ("yesterday", 200),
            ("2026-11-23T12:00:00Z", 200),
            ("", 200),
            ("0", 200),
            ("Mon, 99 Nov 2026 99:00:00 GMT", 200),
        ],
    )
    def test_if_modified_since_is_compared_in_whole_seconds(self, fetch, given, status):
        assert fetch(If_Modified_Since=given).status_code == status

    @pytest.mark.parametrize(
        ("tag", "since", "status"),
        [
            ('"other"', http_date(days=400), 200),
            ("{tag}", http_date(days=-400), 304),
            ("{tag}", "yesterday", 304),
            ("*", http_date(days=-400), 304),
        ],
    )
    def test_if_none_match_takes_precedence(self, fetch, tag, since, status):
        response = fetch(If_None_Match=tag, If_Modified_Since=since)
        assert response.status_code == status

    def test_the_etag_of_one_coding_does_not_match_the_other(self, site):
        gzipped = site.get("/venues/12.ics", headers={"Accept-Encoding": "gzip"}).headers["ETag"]
        response = site.get("/venues/12.ics", headers={"If-None-Match": gzipped})
        assert response.status_code == 200
        assert response.headers["ETag"] != gzipped

    def test_a_304_has_the_headers_that_caches_update(self, fetch):
        whole = fetch()
        response = fetch(If_None_Match="{tag}")
        for name in ("ETag", "Cache-Control", "Vary", "Age", "Access-Control-Allow-Origin"):
            assert response.headers[name] == whole.headers[name]
        assert response.headers["Cache-Status"].startswith("bridge; hit; ttl=")
        for name in ("Content-Type", "Content-Encoding"):
            assert name not in response.headers
        assert response.headers.get("Content-Length", "0") in ("0", whole.headers["Content-Length"])

    def test_head_is_conditional_too(self, fetch):
        assert fetch("HEAD", If_None_Match="{tag}").status_code == 304
        assert fetch("HEAD", If_None_Match='"other"').status_code == 200
        assert fetch("HEAD", If_Modified_Since=http_date()).status_code == 304

    @pytest.mark.parametrize("given", ["*", "{tag}", '"other"', "W/{tag}", "garbage"])
    def test_if_match_never_gives_a_304(self, fetch, given):
        # RFC 9110, 13.1.1: either 200 or 412.
        status = fetch(If_Match=given).status_code
        assert status in ((200,) if given in ("*", "{tag}") else (200, 412))

    @pytest.mark.parametrize("since", [http_date(), http_date(days=-400), "garbage"])
    def test_if_unmodified_since_never_gives_a_304(self, fetch, since):
        assert fetch(If_Unmodified_Since=since).status_code in (200, 412)

    def test_ranges_are_ignored(self, fetch):
        response = fetch(Range="bytes=0-99", If_Range="{tag}")
        assert response.status_code == 200
        assert response.data == fetch().data

    @each_form
    def test_conditional_requests_work_for_every_format(self, site, form):
        tag = site.get(f"/sessions.{form}").headers["ETag"]
        again = site.get(f"/sessions.{form}", headers={"If-None-Match": tag})
        assert again.status_code == 304

    def test_errors_are_not_conditional(self, fetch):
        path = "/venues/12.ics?venue=1"
        assert fetch(path=path, If_None_Match="*").status_code == 400

    def test_last_modified_is_the_time_of_the_walk_that_changed_the_feed(
        self, client, clock, studio
    ):
        def refreshed() -> None:
            before = client.get("/sessions.ics").headers["ETag"]
            clock.move(400)
            client.get("/sessions.ics")
            until(lambda: "ttl=-" not in cache_status(client, "/sessions.ics"), "a refresh")
            tags[0], tags[1] = before, client.get("/sessions.ics").headers["ETag"]

        tags = ["", ""]
        first = {path: client.get(path).headers for path in ("/venues/12.ics", "/venues/13.ics")}
        refreshed()
        assert tags[0] == tags[1]
        for path, headers in first.items():
            again = client.get(path).headers
            assert again["ETag"] == headers["ETag"]
            assert again["Last-Modified"] == headers["Last-Modified"] == http_date()
        upcoming = TODAY + timedelta(days=7)
        studio.change(upcoming.toordinal() * 100 + 1, name="Sunrise Flow")
        refreshed()
        assert tags[0] != tags[1]
        changed, unchanged = (client.get(path).headers for path in first)
        assert changed["ETag"] != first["/venues/12.ics"]["ETag"]
        assert changed["Last-Modified"] == http_date(seconds=800)
        assert unchanged["ETag"] == first["/venues/13.ics"]["ETag"]
        assert unchanged["Last-Modified"] == http_date()


class TestErrors:
    @pytest.mark.parametrize("path", ["/venues/12.ics?venue=1", "/sessions.txt?x=1", "/x.ics"])
    def test_errors_of_calendars_and_agendas_are_plain_text(self, site, path):
        response = site.get(path)
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert "<" not in response.text.replace("<id>", "")
        assert response.text.endswith("\n")

    @pytest.mark.parametrize(
        ("path", "status"), [("/venues/12.json?venue=1", 400), ("/x.json", 404)]
    )
    def test_errors_of_json_feeds_are_rfc_9457_problems(self, site, path, status):
        response = site.get(path)
        assert response.headers["Content-Type"] == "application/problem+json"
        problem = json.loads(response.data)
        assert problem["status"] == response.status_code == status
        assert problem["type"] == "about:blank"
        assert problem["title"]
        assert problem["detail"]

    @pytest.mark.parametrize("path", ["/nowhere", "/venues/", "/venues/abc"])
    def test_errors_of_pages_are_pages(self, site, path):
        response = site.get(path)
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert response.text.startswith("<!doctype html>")
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]

    @pytest.mark.parametrize("suffix", ["", ".ics", ".json", ".txt"])
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_errors_are_not_cached_and_have_no_validators(self, site, suffix, method):
        headers = site.open(f"/nowhere{suffix}", method=method).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert not {"ETag", "Last-Modified", "Age", "Cache-Status"} & set(headers.keys())

    @pytest.mark.parametrize(
        ("query", "parameter", "accepted"),
        [
            ("venue=12", "venue", "venues"),
            ("instructor=12", "instructor", "instructors"),
            ("Venues=12", "Venues", "venues"),
            ("canceled=hide", "canceled", "cancelled"),
            ("strats_at_gte=2026-01-01", "strats_at_gte", "starts_at_gte"),
            ("xyzzy=1", "xyzzy", "venues, rooms, instructors"),
            ("start=2026-01-01", "start", "start"),
            ("cancelled=maybe", "cancelled", "status, keep, hide"),
            ("cancelled=", "cancelled", "exactly one"),
            ("cancelled=hide&cancelled=keep", "cancelled", "exactly one"),
            ("availability=lots", "availability", "none, full, spots"),
            ("availability=spots", "availability", "none, full"),
            ("occupancy_status=empty", "occupancy_status", "full, not_full"),
            ("occupancy_status=crowded", "occupancy_status", "full, not_full"),
            ("tz=mars", "tz", "utc, local"),
            ("status=gone", "status", "active, cancelled"),
            ("past=-1", "past", "0 to 365"),
            ("past=366", "past", "0 to 365"),
            ("future=1.5", "future", "0 to 365"),
            ("future=", "future", "exactly one"),
            ("venues=", "venues", "empty"),
            ("venues=12,,13", "venues", "empty"),
            ("venues=12;13", "venues", "whole number"),
            ("venues=%EF%BC%91", "venues", "whole number"),
            (f"venues={2**63}", "venues", "whole number"),
            ("venues=" + ",".join(map(str, range(101))), "venues", "at most 100"),
            ("starts_at_gte=soon", "starts_at_gte", "RFC 3339"),
            ("starts_at_gte=2026-02-30", "starts_at_gte", "RFC 3339"),
            ("starts_at_gte=2026-01-01&past=3", "past", "starts_at_gte"),
            ("ends_at_lte=2026-01-01&future=3", "future", "ends_at_lte"),
            ("starts_at_gte=2027-01-02&starts_at_lte=2027-01-01", "starts_at_gte", "after"),
            ("start_gte=2026-01-01&starts_at_gte=2026-01-01", "starts_at_gte", "given twice"),
        ],
    )  # fmt: skip
    def test_errors_contain_the_parameter_and_what_is_accepted(
        self, site, query, parameter, accepted
    ):
        for form in ("ics", "txt"):
            response = site.get(f"/sessions.{form}?{query}")
            assert response.status_code == 400
            assert parameter in response.text
            assert accepted in response.text
            assert len(response.text) < 1000
            assert response.headers["Cache-Control"] == "no-store"

    @pytest.mark.parametrize(
        ("path", "parameter"),
        [
            ("/venues/12.ics?venues=13", "venues"),
            ("/venues/12.ics?venues=12", "venues"),
            ("/instructors/11.ics?instructors=12", "instructors"),
            ("/courses/51.ics?course=52", "course"),
            (f"/sessions/{SESSION}.ics?venues=12", "venues"),
            (f"/sessions/{SESSION}.ics?past=3", "past"),
        ],
    )
    def test_filters_of_the_path_cannot_be_repeated_in_the_query(self, site, path, parameter):
        response = site.get(path)
        assert response.status_code == 400
        assert parameter in response.text

    def test_errors_quote_the_request_safely(self, site):
        response = site.get("/sessions.ics?%0D%0AX-Evil:%201%00%1B[2J=1&a=<script>")
        assert response.status_code == 400
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", response.text)
        assert "X-Evil" not in response.headers
        assert site.get("/sessions.ics?venues=" + "9" * 3000).status_code == 400
        assert len(site.get("/sessions.ics?venues=" + "x" * 3000).text) < 500

    def test_very_long_addresses_are_rejected(self, site):
        assert site.get("/sessions.ics?venues=" + "1," * 50_000).status_code in (400, 414)
        assert site.get("/sessions.ics?" + "a=1&" * 20_000).status_code in (400, 414)

    def test_invalid_requests_are_not_sent_to_upstream(self, client, upstream):
        for query in ("venue=1", "past=9999", "cancelled=x"):
            client.get(f"/sessions.ics?{query}")
        assert upstream.requests == []

    def test_without_snapshot_and_upstream_a_feed_is_503_with_retry_after(self, site_of, upstream):
        upstream.stop()
        client = site_of()
        for form, kind in zip(FORMS, ("text/plain", "application/problem+json", "text/plain"),
                              strict=True):  # fmt: skip
            response = client.get(f"/venues/12.{form}")
            assert response.status_code == 503
            assert 1 <= int(response.headers["Retry-After"]) <= 300
            assert response.headers["Content-Type"].startswith(kind)
            assert response.headers["Cache-Control"] == "no-store"
            assert "VCALENDAR" not in response.text
            assert "127.0.0.1" not in response.text


class TestEquivalentQueries:
    @pytest.mark.parametrize(
        "query",
        [
            "venues=13,12",
            "venues=12&venues=13",
            "venues=12%2C13",
            "venues=%2012,%2013",
            "venues=12,12,13,012",
            "venues=12,13&status=active,cancelled",
            "venues=12,13&past=30&future=90",
            "venues=12,13&cancelled=status&availability=none&tz=utc",
            "venues=12,13&_=.ics",
            "_=123&venues=12,13&utm_source=x&utm_campaign=y&fbclid=z&gclid=w",
        ],
    )
    def test_they_give_the_same_feed(self, site, query):
        plain = site.get("/sessions.ics?venues=12,13")
        response = site.get(f"/sessions.ics?{query}")
        assert response.status_code == 200
        assert response.headers["ETag"] == plain.headers["ETag"]
        assert response.headers["Link"] == plain.headers["Link"]

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("starts_at_gte=2026-12-01", "starts_at_gte=2026-12-01T00:00:00Z"),
            ("starts_at_gte=2026-12-01", "start_gte=2026-12-01T01:00:00%2B01:00"),
            ("starts_at_gte=2026-12-01", "start_gte=2026-12-01T01:00:00+01:00"),
            ("starts_at_lte=2026-12-01", "starts_at_lte=2026-12-01T23:59:59Z"),
            ("starts_at_lte=2026-12-01", "start_lte=2026-12-01T23:59:59.9"),
        ],
    )
    def test_times_may_be_written_in_several_ways(self, site, first, second):
        responses = [site.get(f"/sessions.json?{query}") for query in (first, second)]
        assert [response.status_code for response in responses] == [200, 200]
        for name in ("ETag", "Link"):
            assert responses[0].headers[name] == responses[1].headers[name]

    def test_filters_select(self, site):
        def starts(query: str) -> list[str]:
            return [obj["start"] for obj in site.get(f"/sessions.json?{query}").json]

        assert {start[:10] for start in starts("past=0&future=0")} == {"2026-11-23"}
        assert min(starts("starts_at_gte=2026-12-01")) >= "2026-12-01"
        assert max(starts("starts_at_lte=2026-12-01")) < "2026-12-02"
        statuses = {obj["status"] for obj in site.get("/sessions.json?status=cancelled").json}
        assert statuses == {"cancelled"}
        kinds = {obj["type"]["id"] for obj in site.get("/sessions.json?offering_types=32").json}
        assert kinds == {32}

    def test_local_bounds_are_in_the_venues_zone(self, site):
        # 18:00 in Brooklyn is 23:00 UTC
        query = "local_starts_at_gte=2026-11-23T18:00&local_starts_at_lte=2026-11-23T18:00"
        assert [obj["start"] for obj in site.get(f"/venues/14.json?{query}").json] == [
            "2026-11-23T23:00:00Z"
        ]

    def test_cancellations_are_shown_as_requested(self, site):
        shown = site.get("/sessions.ics").data
        hidden = site.get("/sessions.ics?cancelled=hide").data
        kept = site.get("/sessions.ics?cancelled=keep").data
        assert shown.count(b"STATUS:CANCELLED") > 5
        assert shown.count(b"SUMMARY:CANCELLED:") == kept.count(b"SUMMARY:CANCELLED:") > 5
        assert b"CANCELLED" not in hidden
        assert b"STATUS:CANCELLED" not in kept

    def test_availability_is_shown_as_the_owner_allows(self, site, site_of):
        assert "(Full)" in site.get("/sessions.txt?availability=full").text
        assert "(Full)" not in site.get("/sessions.txt").text
        allowed = site_of(public_availability=Availability.SPOTS)
        assert "left)" in allowed.get("/sessions.txt?availability=spots").text


class TestTrimming:
    def test_a_large_feed_is_trimmed_in_every_format(self, site, site_of):
        whole = site.get("/sessions.ics")
        assert "trimmed" not in whole.headers["Cache-Status"]
        client = site_of(feed_max_bytes=len(whole.data) // 2)
        assert client.get("/sessions.ics").headers["Cache-Status"].startswith("bridge; fwd=miss")
        trimmed = client.get("/sessions.ics")
        assert re.fullmatch(
            r"bridge; hit; ttl=\d+; detail=trimmed", trimmed.headers["Cache-Status"]
        )
        assert len(trimmed.data) <= len(whole.data) // 2
        events = Calendar.from_ical(trimmed.data).walk("VEVENT")
        assert any(event["DTSTART"].dt.date() == TODAY for event in events)
        objects = client.get("/sessions.json").json
        assert [obj["id"] for obj in objects] == [str(event["UID"]) for event in events]

    def test_0_disables_it(self, site, site_of):
        client = site_of(feed_max_bytes=0)
        assert len(summaries(client.get("/sessions.ics").data)) == len(
            summaries(site.get("/sessions.ics").data)
        )


class TestFullCalendarsRange:
    WEEK = "start=2026-11-23T00:00:00Z&end=2026-11-30T00:00:00Z&timeZone=UTC"

    def test_the_response_contains_only_the_range(self, site):
        whole = site.get("/venues/12.json").json
        week = site.get(f"/venues/12.json?{self.WEEK}")
        assert week.status_code == 200
        expected = [obj for obj in whole if "2026-11-23" <= obj["start"] < "2026-11-30"]
        assert week.json == expected != []

    @pytest.mark.parametrize(
        "query",
        [
            "start=2026-11-23T00:00:00Z&end=2026-11-30T00:00:00Z",
            "start=2026-11-23&end=2026-11-30",
            "start=2026-11-23T01:00:00%2B01:00&end=2026-11-30T01:00:00%2B01:00&timeZone=local",
            "start=2026-11-23T01:00:00+01:00&end=2026-11-30T01:00:00+01:00",
            "start=2026-11-23T00:00:00&end=2026-11-30T00:00:00&timeZone=Europe/London",
        ],
    )
    def test_it_may_be_written_in_several_ways(self, site, query):
        expected = site.get(f"/venues/12.json?{self.WEEK}")
        response = site.get(f"/venues/12.json?{query}")
        assert response.status_code == 200
        assert response.json == expected.json
        assert response.headers["ETag"] == expected.headers["ETag"]

    def test_each_range_has_its_own_etag(self, site):
        whole = site.get("/venues/12.json").headers["ETag"]
        part = site.get(f"/venues/12.json?{self.WEEK}").headers["ETag"]
        assert part != whole
        again = site.get(f"/venues/12.json?{self.WEEK}", headers={"If-None-Match": part})
        assert again.status_code == 304
        other = site.get(f"/venues/12.json?{self.WEEK}", headers={"If-None-Match": whole})
        assert other.status_code == 200

    def test_a_range_can_be_gzipped(self, site):
        response = site.get(f"/venues/12.json?{self.WEEK}", headers={"Accept-Encoding": "gzip"})
        plain = site.get(f"/venues/12.json?{self.WEEK}")
        assert json.loads(gzip.decompress(response.data)) == plain.json

    def test_ranges_share_the_snapshot(self, client, upstream):
        client.get("/venues/12.json")
        requests = len(upstream.requests)
        for day in range(10, 28):
            path = f"/venues/12.json?start=2026-11-{day}&end=2026-12-{day}"
            response = client.get(path)
            assert response.headers["Cache-Status"].startswith("bridge; hit")
            assert response.headers["Link"] == client.get("/venues/12.json").headers["Link"]
        assert len(upstream.requests) == requests

    @pytest.mark.parametrize(
        "query",
        [
            *("start=soon", "end=2026-13-01", "start=", "start=1e9", "timeZone=Mars/Olympus"),
            *("limit=-1", "limit=1&limit=2", "end=2026-11-22&start=2026-11-23"),
        ],
    )
    def test_invalid_values_are_reported(self, site, query):
        response = site.get(f"/venues/12.json?{query}")
        assert response.status_code == 400
        name = query.split("=", maxsplit=1)[0]
        assert name in response.json["detail"]
        assert [problem["name"] for problem in response.json["invalid_params"]] == [name]

    def test_the_next_sessions_change_without_a_walk(self, site_of, clock):
        client = site_of(cache_ttl=86_400)
        path = "/sessions.json?limit=1"
        before = client.get(path)
        assert "Last-Modified" in client.get(f"/sessions.json?{self.WEEK}").headers
        assert "Last-Modified" not in before.headers
        walked = before.headers["Date"]
        clock.move(40_000)
        after = client.get(path, headers={"If-Modified-Since": walked})
        assert after.status_code == 200
        assert after.headers["Cache-Status"].startswith("bridge; hit")
        assert after.json != before.json
        etag = {"If-None-Match": after.headers["ETag"]}
        assert client.get(path, headers=etag).status_code == 304


class TestCacheStatus:
    """``Cache-Status`` (RFC 9211) and ``Age``, as time passes and upstream fails."""

    # The TTL of the wide walk: 300 seconds, plus or minus a tenth depending on the key.
    TTL = FreshnessPolicy(300, 3600, 604_800).ttl_of(FilterSet(past=30).key)

    @pytest.fixture(autouse=True)
    def first(self, client):
        assert cache_status(client) == "bridge; fwd=miss; stored"

    def wait_for(self, client: FlaskClient, status: str) -> None:
        until(lambda: cache_status(client).startswith(status), status)

    def test_a_second_request_is_a_hit_with_the_remaining_ttl(self, client, clock):
        assert 270 <= self.TTL <= 330
        assert cache_status(client) == f"bridge; hit; ttl={int(self.TTL)}"
        clock.move(100)
        response = client.get("/venues/12.ics")
        assert response.headers["Cache-Status"] == f"bridge; hit; ttl={int(self.TTL - 100)}"
        assert response.headers["Age"] == "100"

    def test_another_feed_of_the_same_walk_is_a_hit(self, client, upstream):
        requests = len(upstream.requests)
        for path in ("/venues/13.ics", "/instructors/11.json", "/sessions.txt?past=3"):
            assert cache_status(client, path).startswith("bridge; hit; ttl=")
        assert len(upstream.requests) == requests

    def test_a_stale_snapshot_is_served_during_the_refresh(self, client, clock, faults):
        faults.set("delay", 0.3, page=1)
        clock.move(400)
        response = client.get("/venues/12.ics")
        left = int(self.TTL - 400)
        assert response.headers["Cache-Status"] == f"bridge; hit; ttl={left}; detail=stale"
        assert response.headers["Age"] == "400"
        assert response.headers["Cache-Control"].startswith("public, max-age=300,")
        self.wait_for(client, f"bridge; hit; ttl={int(self.TTL)}")
        assert client.get("/venues/12.ics").headers["Age"] == "0"

    def test_a_request_after_a_long_sleep_waits_for_the_refresh(self, client, clock):
        clock.move(3600 + 400)
        response = client.get("/venues/12.ics")
        assert response.headers["Cache-Status"] == "bridge; fwd=stale; stored"
        assert response.headers["Age"] == "0"
        assert cache_status(client).startswith("bridge; hit; ttl=")

    @pytest.mark.parametrize(
        ("kind", "value"),
        [("status", 500), ("status", 403), ("html", True), ("truncate", True), ("redirect", "/x")],
    )
    def test_while_upstream_fails_the_last_snapshot_is_served(
        self, client, clock, faults, kind, value
    ):
        before = client.get("/venues/12.ics")
        faults.set(kind, value)
        clock.move(400)
        assert cache_status(client).endswith("detail=stale")
        self.wait_for(client, "bridge; fwd=stale; detail=failed")
        response = client.get("/venues/12.ics")
        assert response.data == before.data
        assert response.headers["Age"] == "400"
        for name in ("ETag", "Last-Modified", "Content-Type", "Cache-Control"):
            assert response.headers[name] == before.headers[name]
        # after a day
        clock.move(86_400)
        until(lambda: client.get("/venues/12.ics").data == before.data, "the copy")
        response = client.get("/venues/12.ics")
        assert response.headers["Cache-Status"] == "bridge; fwd=stale; detail=failed"
        assert response.headers["Age"] == "86800"

    def test_while_upstream_is_throttling_the_last_snapshot_is_served(self, client, clock, faults):
        faults.set("status", 429, retry_after="86400")
        clock.move(400)
        assert cache_status(client).endswith("detail=stale")
        self.wait_for(client, "bridge; fwd=stale; detail=failed")

    def test_validators_work_while_upstream_fails(self, client, clock, faults):
        tag = client.get("/venues/12.ics").headers["ETag"]
        gzip_headers = {"Accept-Encoding": "gzip"}
        gzip_tag = client.get("/venues/12.ics", headers=gzip_headers).headers["ETag"]
        faults.set("status", 500)
        clock.move(400)
        self.wait_for(client, "bridge; fwd=stale; detail=failed")
        for headers in ({"If-None-Match": tag}, {**gzip_headers, "If-None-Match": gzip_tag}):
            for method in ("GET", "HEAD"):
                response = client.open("/venues/12.ics", method=method, headers=headers)
                assert response.status_code == 304
                assert response.headers["Cache-Status"] == "bridge; fwd=stale; detail=failed"
        head = client.head("/venues/12.ics", headers=gzip_headers)
        assert head.status_code == 200
        assert head.headers["Content-Encoding"] == "gzip"

    def test_feeds_are_fresh_again_once_upstream_works(self, client, clock, faults, studio):
        faults.set("status", 503)
        clock.move(400)
        self.wait_for(client, "bridge; fwd=stale; detail=failed")
        faults.clear()
        studio.change(SESSION + 700, name="Sunrise Flow")
        clock.move(120)
        self.wait_for(client, "bridge; hit; ttl=2")
        assert any(
            "Sunrise Flow" in title for title in summaries(client.get("/venues/12.ics").data)
        )

    def test_a_snapshot_that_is_too_old_is_not_served(self, client, clock, upstream):
        upstream.stop()
        clock.move(604_800 + 400)
        response = client.get("/venues/12.ics")
        assert response.status_code == 503
        assert response.headers["Cache-Control"] == "no-store"
        assert "Cache-Status" not in response.headers

    def test_the_age_is_not_negative_after_the_clock_was_set_back(self, client, clock):
        clock.set_wall(-3600)
        assert int(client.get("/venues/12.ics").headers["Age"]) >= 0
