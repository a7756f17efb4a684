"""Feeds as a client fetches them."""

import gzip
import json
import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from typing import Any

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
    """Look again and again, for a bounded time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} seconds"
        threading.Event().wait(0.01)


def cache_status(client: FlaskClient, path: str = "/venues/12.ics") -> str:
    response = client.get(path)
    assert response.status_code == 200
    return response.headers["Cache-Status"]


def test_a_venues_feed_holds_the_studios_public_sessions_there(client, studio):
    response = client.get("/venues/12.ics")
    assert response.status_code == 200
    events = Calendar.from_ical(response.data).walk("VEVENT")
    assert len(events) > 20
    assert all("Riverside" in str(event["LOCATION"]) for event in events)


class TestRoutes:
    @each_form
    @each_path
    def test_every_feed_is_there_in_every_form(self, site, path, form):
        response = site.get(f"{path}.{form}")
        assert response.status_code == 200
        assert response.headers["Content-Type"] == MIME_TYPES[form]
        assert "Vinyasa Flow" in response.text

    @each_path
    def test_every_form_has_the_same_sessions(self, site, path):
        events = Calendar.from_ical(site.get(f"{path}.ics").data).walk("VEVENT")
        objects = site.get(f"{path}.json").json
        lines = site.get(f"{path}.txt").text.splitlines()
        assert [str(one["UID"]) for one in events] == [one["id"] for one in objects]
        assert [str(one["SUMMARY"]) for one in events] == [one["title"] for one in objects]
        assert len([line for line in lines if line.startswith("  ")]) == len(events) > 0

    def test_each_has_what_its_address_says(self, site):
        assert all(one["venue"]["id"] == 12 for one in site.get("/venues/12.json").json)
        assert all(one["course"]["id"] == 51 for one in site.get("/courses/51.json").json)
        people = [one["instructors"] for one in site.get("/instructors/11.json").json]
        assert all(11 in [one["id"] for one in several] for several in people)
        [one] = site.get(f"/sessions/{SESSION}.json").json
        assert one["start"] == "2026-11-23T07:00:00Z"
        assert {one["venue"]["id"] for one in site.get("/sessions.json").json} == {12, 13, 14, 15}

    def test_the_default_window_is_thirty_days_back_and_ninety_ahead(self, site):
        starts = [one["start"] for one in site.get("/venues/12.json").json]
        assert "2026-10-24" <= min(starts) < "2026-10-28"
        assert "2027-02-17" < max(starts) < "2027-02-22"

    def test_a_course_has_no_default_window(self, site):
        starts = [one["start"] for one in site.get("/courses/51.json").json]
        assert min(starts) < "2026-10-24"
        assert max(starts) > "2027-02-22"

    def test_what_the_public_may_not_see_is_nowhere(self, site):
        for path in (*PATHS, "/venues/13", "/venues/15", "/courses/56", "/courses/57"):
            for form in FORMS:
                text = site.get(f"{path}.{form}").text
                for secret in (
                    "Members' Open Gym", "Staff Training", "Breathwork", "join-secret",
                    "staff.studio.example", "attending", "max_occupancy", "instructor-11-secret",
                ):  # fmt: skip
                    assert secret not in text

    @pytest.mark.parametrize("course", [56, 57, 58])
    def test_a_hidden_course_is_like_one_that_nobody_knows(self, site, course):
        known, unknown = site.get(f"/courses/{course}.ics"), site.get("/courses/9.ics")
        assert known.status_code == unknown.status_code == 200
        assert name_of(known.data) == f"Course {course}"
        assert summaries(known.data) == summaries(unknown.data) == []

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
    def test_an_id_that_nobody_knows_is_an_empty_calendar(self, site, path, name):
        response = site.get(path)
        assert response.status_code == 200
        assert name_of(response.data) == name
        assert summaries(response.data) == []
        assert b"VTIMEZONE" in response.data
        assert site.get(path.replace(".ics", ".json")).json == []
        assert site.get(path.replace(".ics", ".txt")).status_code == 200

    def test_a_feed_without_sessions_at_present_keeps_its_name(self, site):
        response = site.get("/venues/14.ics?starts_at_gte=2027-06-01")
        assert response.status_code == 200
        assert name_of(response.data) == "Brooklyn Loft"
        assert summaries(response.data) == []

    def test_a_studio_that_closed_for_months_keeps_its_feeds_and_their_names(self, client, clock):
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
    def test_anything_else_is_a_plain_404_without_a_redirect(self, site, path):
        response = site.get(path)
        assert response.status_code == 404
        assert "Location" not in response.headers
        assert response.headers["Cache-Control"] == "no-store"

    @pytest.mark.parametrize(
        "path", ["//venues/12.ics", "/venues//12.ics", "///evil.example/venues/12.ics", "//"]
    )
    def test_doubled_slashes_lead_nowhere_else(self, site, path):
        response = site.get("/", environ_overrides={"PATH_INFO": path})
        assert response.status_code in (200, 404)
        assert "Location" not in response.headers

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "REPORT"])
    @pytest.mark.parametrize("path", ["/venues/12.ics", "/sessions.json", "/", "/healthz"])
    def test_another_method_is_405_and_says_which_are_there(self, site, method, path):
        response = site.open(path, method=method, data=b"x")
        assert response.status_code == 405
        assert {"GET", "HEAD"} <= set(response.headers["Allow"].split(", "))
        assert response.headers["Cache-Control"] == "no-store"

    def test_no_answer_ever_sets_a_cookie(self, site):
        feeds = [f"{path}.{form}" for path in PATHS for form in FORMS]
        others = ["/", "/healthz", "/nowhere", "/sessions.ics?x=1", "/robots.txt", "/status"]
        for path in (*feeds, *others, "/venues/12"):
            for method in ("GET", "HEAD", "OPTIONS", "POST"):
                assert "Set-Cookie" not in site.open(path, method=method).headers

    @pytest.mark.parametrize(
        "accept", [None, "text/html", "image/png", "application/json", "", "x"]
    )
    @each_form
    def test_a_feed_is_had_whatever_is_accepted(self, site, accept, form):
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
            ("/venues/999.ics", "venue-999.ics"),
        ],
    )
    def test_the_file_is_called_after_the_feed_in_plain_letters(self, site, path, name):
        disposition = site.get(path).headers["Content-Disposition"]
        assert disposition == f'inline; filename="{name}"'

    def test_the_link_is_absolute_where_the_address_is_known(self, site_of):
        client = site_of(public_base_url="https://calendar.example.org")
        link = client.get("/sessions.ics?venues=13,12").headers["Link"]
        page = "https://calendar.example.org/sessions?venues=12%2C13"
        assert link == f'<{page}>; rel="alternate"; type="text/html"'

    def test_the_host_that_was_asked_for_is_in_no_body_and_no_header(self, site):
        headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
        response = site.get("/venues/12.ics", headers=headers)
        assert b"evil.example" not in response.data
        assert "evil.example" not in str(response.headers)
        assert response.data == site.get("/venues/12.ics").data

    def test_the_settings_are_what_caches_are_told(self, site_of):
        client = site_of(cache_ttl=60, stale_while_revalidate=5, stale_if_error=7)
        assert client.get("/sessions.ics").headers["Cache-Control"] == (
            "public, max-age=60, stale-while-revalidate=5, stale-if-error=7"
        )

    @each_form
    def test_head_is_get_without_the_body(self, site, form):
        for headers in ({}, {"Accept-Encoding": "gzip"}):
            got = site.get(f"/venues/12.{form}", headers=headers)
            headed = site.head(f"/venues/12.{form}", headers=headers)
            assert headed.status_code == 200
            assert headed.data == b""
            # the one header that is of the request
            assert headed.headers.pop("X-Request-Id") != got.headers.pop("X-Request-Id")
            assert dict(headed.headers) == dict(got.headers)

    @each_form
    def test_a_preflight_lets_any_origin_read(self, site, form):
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

    def test_scripts_of_other_origins_may_read_what_matters(self, site):
        exposed = site.get("/venues/12.json").headers["Access-Control-Expose-Headers"].split(", ")
        assert {"ETag", "Age", "Cache-Status", "Last-Modified", "Retry-After"} <= set(exposed)

    def test_errors_can_be_read_by_other_origins_too(self, site):
        response = site.get("/venues/12.json?venue=1")
        assert response.status_code == 400
        assert response.headers["Access-Control-Allow-Origin"] == "*"


class TestCompression:
    @pytest.mark.parametrize(
        ("accepted", "zipped"),
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
    def test_a_body_is_zipped_when_that_is_asked_for(self, site, accepted, zipped, form):
        headers = {} if accepted is None else {"Accept-Encoding": accepted}
        response = site.get(f"/venues/12.{form}", headers=headers)
        plain = site.get(f"/venues/12.{form}")
        assert response.status_code == 200
        assert response.headers["Vary"] == "Accept-Encoding"
        assert response.headers["Content-Type"] == plain.headers["Content-Type"]
        assert (response.headers.get("Content-Encoding") == "gzip") == zipped
        assert (gzip.decompress(response.data) if zipped else response.data) == plain.data
        assert (len(response.data) < len(plain.data)) == zipped

    @each_form
    def test_each_coding_has_a_strong_tag_of_its_own(self, site, form):
        plain = site.get(f"/venues/12.{form}").headers["ETag"]
        zipped = site.get(f"/venues/12.{form}", headers={"Accept-Encoding": "gzip"}).headers["ETag"]
        assert plain != zipped
        assert not plain.startswith("W/")
        assert not zipped.startswith("W/")

    def test_tags_tell_feeds_and_forms_apart(self, site):
        feeds = [f"/{path}.{form}" for path in ("venues/12", "venues/13") for form in FORMS]
        assert len({site.get(feed).headers["ETag"] for feed in feeds}) == len(feeds)

    @pytest.mark.parametrize("coding", ["identity", "gzip"])
    def test_two_machines_give_the_same_bytes_and_validators(self, site, site_of, clock, coding):
        clock.move(0.7)
        headers = {"Accept-Encoding": coding}
        here = site.get("/venues/12.ics", headers=headers)
        there = site_of().get("/venues/12.ics", headers=headers)
        # links are made from the upstream's address, which differs by its port here
        assert len(here.data) == pytest.approx(len(there.data), abs=200)
        other = site_of().get("/venues/12.ics", headers=headers)
        assert there.data == other.data
        for name in ("ETag", "Last-Modified", "Content-Length", "Content-Type"):
            assert there.headers[name] == other.headers[name]


def http_date(**shift: float) -> str:
    moment = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC) + timedelta(**shift)
    return format_datetime(moment, usegmt=True)


class TestConditionalRequests:
    @pytest.fixture(params=["identity", "gzip"])
    def ask(self, request, site):
        """Asks for a feed in one coding; ``{tag}`` stands for its tag."""
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
    def test_if_none_match_is_compared_weakly_with_each_of_a_list(self, ask, given, status):
        response = ask(If_None_Match=given)
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
    def test_if_modified_since_is_compared_in_whole_seconds(self, ask, given, status):
        assert ask(If_Modified_Since=given).status_code == status

    @pytest.mark.parametrize(
        ("tag", "since", "status"),
        [
            ('"other"', http_date(days=400), 200),
            ("{tag}", http_date(days=-400), 304),
            ("{tag}", "yesterday", 304),
            ("*", http_date(days=-400), 304),
        ],
    )
    def test_if_none_match_comes_first(self, ask, tag, since, status):
        response = ask(If_None_Match=tag, If_Modified_Since=since)
        assert response.status_code == status

    def test_the_tag_of_one_coding_does_not_stand_for_the_other(self, site):
        zipped = site.get("/venues/12.ics", headers={"Accept-Encoding": "gzip"}).headers["ETag"]
        response = site.get("/venues/12.ics", headers={"If-None-Match": zipped})
        assert response.status_code == 200
        assert response.headers["ETag"] != zipped

    def test_not_modified_has_the_headers_that_a_cache_updates(self, ask):
        whole = ask()
        response = ask(If_None_Match="{tag}")
        for name in ("ETag", "Cache-Control", "Vary", "Age", "Access-Control-Allow-Origin"):
            assert response.headers[name] == whole.headers[name]
        assert response.headers["Cache-Status"].startswith("bridge; hit; ttl=")
        for name in ("Content-Type", "Content-Encoding"):
            assert name not in response.headers
        assert response.headers.get("Content-Length", "0") in ("0", whole.headers["Content-Length"])

    def test_head_is_conditional_too(self, ask):
        assert ask("HEAD", If_None_Match="{tag}").status_code == 304
        assert ask("HEAD", If_None_Match='"other"').status_code == 200
        assert ask("HEAD", If_Modified_Since=http_date()).status_code == 304

    @pytest.mark.parametrize("given", ["*", "{tag}", '"other"', "W/{tag}", "garbage"])
    def test_if_match_never_says_that_nothing_changed(self, ask, given):
        # RFC 9110, 13.1.1: met, or 412; 304 answers the two conditions above alone.
        status = ask(If_Match=given).status_code
        assert status in ((200,) if given in ("*", "{tag}") else (200, 412))

    @pytest.mark.parametrize("since", [http_date(), http_date(days=-400), "garbage"])
    def test_if_unmodified_since_never_says_that_nothing_changed(self, ask, since):
        assert ask(If_Unmodified_Since=since).status_code in (200, 412)

    def test_a_part_is_answered_with_the_whole(self, ask):
        response = ask(Range="bytes=0-99", If_Range="{tag}")
        assert response.status_code == 200
        assert response.data == ask().data

    @each_form
    def test_every_form_is_conditional(self, site, form):
        tag = site.get(f"/sessions.{form}").headers["ETag"]
        again = site.get(f"/sessions.{form}", headers={"If-None-Match": tag})
        assert again.status_code == 304

    def test_an_error_is_an_error_whatever_the_client_has(self, ask):
        path = "/venues/12.ics?venue=1"
        assert ask(path=path, If_None_Match="*").status_code == 400

    def test_last_modified_is_the_walk_at_which_this_feed_changed(self, client, clock, studio):
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
        studio.rename(upcoming.toordinal() * 100 + 1, "Sunrise Flow")
        refreshed()
        assert tags[0] != tags[1]
        changed, unchanged = (client.get(path).headers for path in first)
        assert changed["ETag"] != first["/venues/12.ics"]["ETag"]
        assert changed["Last-Modified"] == http_date(seconds=800)
        assert unchanged["ETag"] == first["/venues/13.ics"]["ETag"]
        assert unchanged["Last-Modified"] == http_date()


class TestErrors:
    @pytest.mark.parametrize("path", ["/venues/12.ics?venue=1", "/sessions.txt?x=1", "/x.ics"])
    def test_calendars_and_agendas_get_plain_text(self, site, path):
        response = site.get(path)
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert "<" not in response.text.replace("<id>", "")
        assert response.text.endswith("\n")

    @pytest.mark.parametrize(
        ("path", "status"), [("/venues/12.json?venue=1", 400), ("/x.json", 404)]
    )
    def test_json_gets_a_problem_of_rfc_9457(self, site, path, status):
        response = site.get(path)
        assert response.headers["Content-Type"] == "application/problem+json"
        problem = json.loads(response.data)
        assert problem["status"] == response.status_code == status
        assert problem["type"] == "about:blank"
        assert problem["title"]
        assert problem["detail"]

    @pytest.mark.parametrize("path", ["/nowhere", "/venues/", "/venues/abc"])
    def test_pages_get_a_page(self, site, path):
        response = site.get(path)
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert response.text.startswith("<!doctype html>")
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]

    @pytest.mark.parametrize("suffix", ["", ".ics", ".json", ".txt"])
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_none_is_kept_by_caches_nor_guessed_at(self, site, suffix, method):
        headers = site.open(f"/nowhere{suffix}", method=method).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert not {"ETag", "Last-Modified", "Age", "Cache-Status"} & set(headers.keys())

    @pytest.mark.parametrize(
        ("query", "named", "said"),
        [
            ("venue=12", "venue", "venues"),
            ("instructor=12", "instructor", "instructors"),
            ("Venues=12", "Venues", "venues"),
            ("canceled=hide", "canceled", "cancelled"),
            ("strats_at_gte=2026-01-01", "strats_at_gte", "starts_at_gte"),
            ("xyzzy=1", "xyzzy", "venues, instructors"),
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
            ("start_gte=2026-01-01&starts_at_gte=2026-01-01", "starts_at_gte", "second time"),
        ],
    )  # fmt: skip
    def test_what_is_not_accepted_is_named_with_what_is(self, site, query, named, said):
        for form in ("ics", "txt"):
            response = site.get(f"/sessions.{form}?{query}")
            assert response.status_code == 400
            assert named in response.text
            assert said in response.text
            assert len(response.text) < 1000
            assert response.headers["Cache-Control"] == "no-store"

    @pytest.mark.parametrize(
        ("path", "named"),
        [
            ("/venues/12.ics?venues=13", "venues"),
            ("/venues/12.ics?venues=12", "venues"),
            ("/instructors/11.ics?instructors=12", "instructors"),
            ("/courses/51.ics?course=52", "course"),
            (f"/sessions/{SESSION}.ics?venues=12", "venues"),
            (f"/sessions/{SESSION}.ics?past=3", "past"),
        ],
    )
    def test_what_the_address_says_cannot_be_said_again(self, site, path, named):
        response = site.get(path)
        assert response.status_code == 400
        assert named in response.text

    def test_a_visitors_own_text_comes_back_harmless(self, site):
        response = site.get("/sessions.ics?%0D%0AX-Evil:%201%00%1B[2J=1&a=<script>")
        assert response.status_code == 400
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", response.text)
        assert "X-Evil" not in response.headers
        assert site.get("/sessions.ics?venues=" + "9" * 3000).status_code == 400
        assert len(site.get("/sessions.ics?venues=" + "x" * 3000).text) < 500

    def test_an_endless_address_is_refused(self, site):
        assert site.get("/sessions.ics?venues=" + "1," * 50_000).status_code in (400, 414)
        assert site.get("/sessions.ics?" + "a=1&" * 20_000).status_code in (400, 414)

    def test_asking_for_something_wrong_costs_no_call_upstream(self, client, upstream):
        for query in ("venue=1", "past=9999", "cancelled=x"):
            client.get(f"/sessions.ics?{query}")
        assert upstream.requests == []

    def test_a_cold_feed_without_an_upstream_is_503_and_says_when_to_come_back(
        self, site_of, upstream
    ):
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


class TestOneQuestionInManySpellings:
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
    def test_they_are_one_feed(self, site, query):
        plain = site.get("/sessions.ics?venues=12,13")
        response = site.get(f"/sessions.ics?{query}")
        assert response.status_code == 200
        assert response.headers["ETag"] == plain.headers["ETag"]
        assert response.headers["Link"] == plain.headers["Link"]

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("starts_at_gte=2026-12-01", "starts_at_gte=2026-12-01T00:00:00Z"),
            ("starts_at_gte=2026-12-01", "start_gte=2026-12-01T01:00:00%2B01:00"),
            ("starts_at_gte=2026-12-01", "start_gte=2026-12-01T01:00:00+01:00"),
            ("starts_at_lte=2026-12-01", "starts_at_lte=2026-12-01T23:59:59Z"),
            ("starts_at_lte=2026-12-01", "start_lte=2026-12-01T23:59:59.9"),
        ],
    )
    def test_times_may_be_written_in_several_ways(self, site, one, other):
        first, second = (site.get(f"/sessions.json?{query}") for query in (one, other))
        assert first.status_code == second.status_code == 200
        assert first.headers["ETag"] == second.headers["ETag"]
        assert first.headers["Link"] == second.headers["Link"]

    def test_filters_select(self, site):
        def starts(query: str) -> list[str]:
            return [one["start"] for one in site.get(f"/sessions.json?{query}").json]

        assert {one[:10] for one in starts("past=0&future=0")} == {"2026-11-23"}
        assert min(starts("starts_at_gte=2026-12-01")) >= "2026-12-01"
        assert max(starts("starts_at_lte=2026-12-01")) < "2026-12-02"
        statuses = {one["status"] for one in site.get("/sessions.json?status=cancelled").json}
        assert statuses == {"cancelled"}
        kinds = {one["type"]["id"] for one in site.get("/sessions.json?offering_types=32").json}
        assert kinds == {32}

    def test_local_bounds_are_in_the_venues_zone(self, site):
        # six in the evening in Brooklyn is eleven at night in UTC
        query = "local_starts_at_gte=2026-11-23T18:00&local_starts_at_lte=2026-11-23T18:00"
        assert [one["start"] for one in site.get(f"/venues/14.json?{query}").json] == [
            "2026-11-23T23:00:00Z"
        ]

    def test_hidden_cancellations_are_not_there(self, site):
        shown = site.get("/sessions.ics").data
        hidden = site.get("/sessions.ics?cancelled=hide").data
        kept = site.get("/sessions.ics?cancelled=keep").data
        assert shown.count(b"STATUS:CANCELLED") > 5
        assert shown.count(b"SUMMARY:CANCELLED:") == kept.count(b"SUMMARY:CANCELLED:") > 5
        assert b"CANCELLED" not in hidden
        assert b"STATUS:CANCELLED" not in kept

    def test_places_are_told_as_far_as_the_studio_allows(self, site, site_of):
        assert "(Full)" in site.get("/sessions.txt?availability=full").text
        assert "(Full)" not in site.get("/sessions.txt").text
        allowed = site_of(public_availability=Availability.SPOTS)
        assert "left)" in allowed.get("/sessions.txt?availability=spots").text


class TestAFeedThatIsTooLarge:
    def test_it_is_trimmed_and_says_so_and_every_form_holds_the_same(self, site, site_of):
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
        assert [one["id"] for one in objects] == [str(event["UID"]) for event in events]

    def test_nought_switches_it_off(self, site, site_of):
        client = site_of(feed_max_bytes=0)
        assert len(summaries(client.get("/sessions.ics").data)) == len(
            summaries(site.get("/sessions.ics").data)
        )


class TestFullCalendarsRange:
    WEEK = "start=2026-11-23T00:00:00Z&end=2026-11-30T00:00:00Z&timeZone=UTC"

    def test_the_answer_is_cut_to_what_was_asked_for(self, site):
        whole = site.get("/venues/12.json").json
        week = site.get(f"/venues/12.json?{self.WEEK}")
        assert week.status_code == 200
        wanted = [one for one in whole if "2026-11-23" <= one["start"] < "2026-11-30"]
        assert week.json == wanted != []

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
    def test_every_form_in_which_it_is_sent_is_understood(self, site, query):
        expected = site.get(f"/venues/12.json?{self.WEEK}")
        response = site.get(f"/venues/12.json?{query}")
        assert response.status_code == 200
        assert response.json == expected.json
        assert response.headers["ETag"] == expected.headers["ETag"]

    def test_each_range_has_a_tag_of_its_own_and_is_conditional(self, site):
        whole = site.get("/venues/12.json").headers["ETag"]
        part = site.get(f"/venues/12.json?{self.WEEK}").headers["ETag"]
        assert part != whole
        again = site.get(f"/venues/12.json?{self.WEEK}", headers={"If-None-Match": part})
        assert again.status_code == 304
        other = site.get(f"/venues/12.json?{self.WEEK}", headers={"If-None-Match": whole})
        assert other.status_code == 200

    def test_a_range_can_be_zipped(self, site):
        response = site.get(f"/venues/12.json?{self.WEEK}", headers={"Accept-Encoding": "gzip"})
        plain = site.get(f"/venues/12.json?{self.WEEK}")
        assert json.loads(gzip.decompress(response.data)) == plain.json

    def test_ranges_are_no_part_of_the_key(self, client, upstream):
        client.get("/venues/12.json")
        asked = len(upstream.requests)
        for day in range(10, 28):
            path = f"/venues/12.json?start=2026-11-{day}&end=2026-12-{day}"
            response = client.get(path)
            assert response.headers["Cache-Status"].startswith("bridge; hit")
            assert response.headers["Link"] == client.get("/venues/12.json").headers["Link"]
        assert len(upstream.requests) == asked

    @pytest.mark.parametrize("query", ["start=soon", "end=2026-13-01", "start=", "start=1e9"])
    def test_what_is_no_time_is_a_problem_that_names_it(self, site, query):
        response = site.get(f"/venues/12.json?{query}")
        assert response.status_code == 400
        assert query.split("=", maxsplit=1)[0] in response.json["detail"]

    @pytest.mark.parametrize("form", ["ics", "txt"])
    def test_other_forms_take_no_range(self, site, form):
        assert site.get(f"/venues/12.{form}?{self.WEEK}").status_code == 400


class TestTheStateOfTheCache:
    """``Cache-Status`` (RFC 9211) and ``CopyState``, as time passes and the upstream fails."""

    # The wide walk's own time to live: 300 seconds, give or take a tenth by its key.
    TTL = FreshnessPolicy(300, 3600, 604_800).ttl_of(FilterSet(past=30).key)

    @pytest.fixture(autouse=True)
    def first(self, client):
        assert cache_status(client) == "bridge; fwd=miss; stored"

    def settled(self, client: FlaskClient, status: str) -> None:
        until(lambda: cache_status(client).startswith(status), status)

    def test_a_second_request_is_a_hit_with_the_time_that_is_left(self, client, clock):
        assert 270 <= self.TTL <= 330
        assert cache_status(client) == f"bridge; hit; ttl={int(self.TTL)}"
        clock.move(100)
        response = client.get("/venues/12.ics")
        assert response.headers["Cache-Status"] == f"bridge; hit; ttl={int(self.TTL - 100)}"
        assert response.headers["Age"] == "100"

    def test_another_feed_of_the_same_walk_is_a_hit(self, client, upstream):
        asked = len(upstream.requests)
        for path in ("/venues/13.ics", "/instructors/11.json", "/sessions.txt?past=3"):
            assert cache_status(client, path).startswith("bridge; hit; ttl=")
        assert len(upstream.requests) == asked

    def test_past_its_time_it_is_a_stale_hit_while_one_refresh_runs(self, client, clock, faults):
        faults.set("delay", 0.3, page=1)
        clock.move(400)
        response = client.get("/venues/12.ics")
        left = int(self.TTL - 400)
        assert response.headers["Cache-Status"] == f"bridge; hit; ttl={left}; detail=stale"
        assert response.headers["Age"] == "400"
        assert response.headers["Cache-Control"].startswith("public, max-age=300,")
        self.settled(client, f"bridge; hit; ttl={int(self.TTL)}")
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
    def test_a_failing_upstream_is_answered_with_the_last_good_copy(
        self, client, clock, faults, kind, value
    ):
        before = client.get("/venues/12.ics")
        faults.set(kind, value)
        clock.move(400)
        assert cache_status(client).endswith("detail=stale")
        self.settled(client, "bridge; fwd=stale; detail=failed")
        response = client.get("/venues/12.ics")
        assert response.data == before.data
        assert response.headers["Age"] == "400"
        for name in ("ETag", "Last-Modified", "Content-Type", "Cache-Control"):
            assert response.headers[name] == before.headers[name]
        # and after a day of it
        clock.move(86_400)
        until(lambda: client.get("/venues/12.ics").data == before.data, "the copy")
        response = client.get("/venues/12.ics")
        assert response.headers["Cache-Status"] == "bridge; fwd=stale; detail=failed"
        assert response.headers["Age"] == "86800"

    def test_a_pause_that_the_upstream_asks_for_is_no_failure_of_a_feed(
        self, client, clock, faults
    ):
        faults.set("status", 429, retry_after="86400")
        clock.move(400)
        assert cache_status(client).endswith("detail=stale")
        self.settled(client, "bridge; fwd=stale; detail=failed")

    def test_validators_stay_right_while_the_upstream_fails(self, client, clock, faults):
        tag = client.get("/venues/12.ics").headers["ETag"]
        zipped = {"Accept-Encoding": "gzip"}
        zipped_tag = client.get("/venues/12.ics", headers=zipped).headers["ETag"]
        faults.set("status", 500)
        clock.move(400)
        self.settled(client, "bridge; fwd=stale; detail=failed")
        for headers in ({"If-None-Match": tag}, {**zipped, "If-None-Match": zipped_tag}):
            for method in ("GET", "HEAD"):
                response = client.open("/venues/12.ics", method=method, headers=headers)
                assert response.status_code == 304
                assert response.headers["Cache-Status"] == "bridge; fwd=stale; detail=failed"
        headed = client.head("/venues/12.ics", headers=zipped)
        assert headed.status_code == 200
        assert headed.headers["Content-Encoding"] == "gzip"

    def test_once_the_upstream_is_well_feeds_are_fresh_again(self, client, clock, faults, studio):
        faults.set("status", 503)
        clock.move(400)
        self.settled(client, "bridge; fwd=stale; detail=failed")
        faults.clear()
        studio.rename(SESSION + 700, "Sunrise Flow")
        clock.move(120)
        self.settled(client, "bridge; hit; ttl=2")
        assert any("Sunrise Flow" in one for one in summaries(client.get("/venues/12.ics").data))

    def test_a_copy_that_is_too_old_is_no_longer_served(self, client, clock, upstream):
        upstream.stop()
        clock.move(604_800 + 400)
        response = client.get("/venues/12.ics")
        assert response.status_code == 503
        assert response.headers["Cache-Control"] == "no-store"
        assert "Cache-Status" not in response.headers

    def test_a_clock_that_was_set_back_never_makes_an_age_below_nothing(self, client, clock):
        clock.set_wall(-3600)
        assert int(client.get("/venues/12.ics").headers["Age"]) >= 0
