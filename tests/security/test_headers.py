"""What browsers are told: whom to trust with what, on every answer."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from security.sites import Site, addresses

from bridge.feeds.formats import FORMATS

ORIGIN = "https://studio.example"


@pytest.fixture
def site(site_of: Callable[..., Site]) -> Site:
    return site_of()


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "TRACE"])
def test_every_answer_is_what_it_says_and_tells_nobody_where_it_was_read(
    site: Site, method: str
) -> None:
    for path in addresses(site.app):
        answer = site.ask(path, method)
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path
        assert answer.headers["Referrer-Policy"] == "no-referrer", path
        assert "Set-Cookie" not in answer.headers
        assert "Server" not in answer.headers
        assert answer.status_code in (200, 400, 401, 404, 405)
        assert "Location" not in answer.headers


def test_pages_load_and_run_nothing_from_elsewhere_nor_inline(site: Site) -> None:
    for path in addresses(site.app):
        answer = site.ask(path, Authorization="Bearer x")
        if answer.mimetype != "text/html":
            continue
        policy = dict(
            part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; ")
        )
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        assert policy["base-uri"] == "'none'"
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        framed = "*" if path.startswith("/embed/") else "'none'"
        assert policy["frame-ancestors"] == framed, path
        # what the policy would stop is not even there
        scripts = re.findall(r"<script(?![^>]*(?: src=\"/|ld\+json))[^>]*>", answer.text)
        assert scripts == []
        assert not re.search(r"<style|<[^>]+\s(?:on[a-z]+|style)=", answer.text)
        assert not re.search(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=\"(?:https?:)?//",
                             re.sub(r"<link rel=\"canonical\"[^>]+>", "", answer.text))  # fmt: skip


def test_the_owner_says_who_may_frame_a_timetable(site_of: Callable[..., Site]) -> None:
    site = site_of(embed_allowed_origins=(ORIGIN, "https://*.other.example"))
    for path in ("/embed/venues/11", "/embed/venues/11?accent=puce", "/embed/nothing"):
        policy = site.ask(path).headers["Content-Security-Policy"]
        assert policy.endswith(f"frame-ancestors {ORIGIN} https://*.other.example")
    for path in ("/venues/11", "/", "/embed.js", "/nowhere"):
        assert ORIGIN not in site.ask(path).headers.get("Content-Security-Policy", "")


def test_what_is_personal_is_kept_and_listed_by_nobody(site: Site) -> None:
    for path in addresses(site.app):
        answer = site.ask(path)
        kept = answer.headers.get("Cache-Control", "")
        personal = kept.startswith(("no-store", "private"))
        assert personal == (answer.status_code >= 400 or path in ("/healthz", "/readyz"))
        assert ("noindex" in answer.headers.get("X-Robots-Tag", "")) >= personal
    for answer in site.operators():
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Robots-Tag"] == "noindex"


def test_scripts_of_other_sites_read_feeds_and_nothing_of_the_operators(site: Site) -> None:
    asks: dict[str, Any] = {"Origin": ORIGIN, "Access_Control_Request_Method": "GET"}
    for path in addresses(site.app):
        got, asked = site.ask(path, **asks), site.ask(path, "OPTIONS", **asks)
        assert "Access-Control-Allow-Credentials" not in got.headers
        assert got.headers.get("Access-Control-Allow-Origin") in (None, "*")
        feed = re.fullmatch(r"/(?:venues|instructors|courses|sessions|private)\b.*", path) and (
            got.mimetype != "text/html"
        )
        if feed:
            assert got.headers["Access-Control-Allow-Origin"] == "*", path
            assert asked.headers["Access-Control-Allow-Origin"] == "*", path
        elif got.status_code == 200:
            assert "Access-Control-Allow-Methods" not in asked.headers, path
            assert ("Access-Control-Allow-Origin" in got.headers) == (path == "/embed.js"), path
    for answer in site.operators():
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("path", ["/status", "/metrics"])
def test_the_operators_pages_are_the_operators_alone(
    site_of: Callable[..., Site], path: str
) -> None:
    site = site_of(operator_token="pässword")
    odd = ("Bearer", "Basic", "Basic !", "Basic Zm9v", "Bearer \xff", "Digest x", "Bearer p",
           "Basic //79", "Basic OnDkc3N3b3Jk", "Negotiate", "\xe9", "Bearer pässwor")  # fmt: skip
    for given in odd:
        answer = site.ask(path, Authorization=given)
        assert answer.status_code == 401, given
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert site.client.get(path, auth=("x", "pässword")).status_code == 200
    hidden = site_of(operator_token=None)
    unknown = hidden.ask("/nowhere")
    assert hidden.ask(path, Authorization="Bearer x").data == unknown.data


def test_an_answer_is_found_in_the_log_by_its_id(site: Site) -> None:
    for path in ("/venues/11.ics?venues=x", "/nowhere", "/private/x.ics"):
        given = site.ask(path, X_Request_Id="chosen-by-the-visitor").headers["X-Request-Id"]
        assert re.fullmatch("[0-9a-f]{16}", given)
        assert f'"request_id": "{given}"' in site.log.getvalue()
    assert "chosen-by-the-visitor" not in site.log.getvalue()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_fault_of_the_bridges_own_is_found_by_its_id_and_tells_nothing(
    site_of: Callable[..., Site], monkeypatch: pytest.MonkeyPatch, log_format: str
) -> None:
    site = site_of(log_format=log_format)

    def broken(*given: Any, **named: Any) -> bytes:
        local = site.parts.config.token
        raise RuntimeError(f"a fault {len(local)}")

    for suffix, form in FORMATS.items():
        monkeypatch.setitem(FORMATS, suffix, replace(form, render=broken))
    for path in ("/sessions.ics?past=1", "/sessions.json?past=1", "/sessions.txt?past=1"):
        answer = site.ask(path)
        assert answer.status_code == 500
        assert answer.headers["X-Request-Id"] in answer.text
        assert answer.headers["X-Request-Id"] in site.log.getvalue()
        assert "RuntimeError" not in answer.text
    assert "RuntimeError" in site.log.getvalue()
    assert site.leaks() == {}
