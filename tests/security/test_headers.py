"""Security headers on every response."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from security.sites import Site, all_paths

from bridge.feeds.formats import FORMATS
from bridge.feeds.spec import Kind

ORIGIN = "https://studio.example"


@pytest.fixture(scope="module")
def site(make_shared_site: Callable[..., Site]) -> Site:
    return make_shared_site()


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "TRACE"])
def test_every_response_forbids_sniffing_referrers_and_cookies(site: Site, method: str) -> None:
    for path in all_paths(site.app):
        answer = site.request(path, method)
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path
        assert answer.headers["Referrer-Policy"] == "no-referrer", path
        assert "Set-Cookie" not in answer.headers
        assert "Server" not in answer.headers
        assert answer.status_code in (200, 400, 401, 404, 405, 503)
        assert "Location" not in answer.headers


def test_pages_have_no_inline_code_and_load_nothing_from_other_hosts(site: Site) -> None:
    for path in all_paths(site.app):
        answer = site.request(path, Authorization="Bearer x")
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
        # The page has nothing that the policy would block.
        scripts = re.findall(r"<script(?![^>]*(?: src=\"/|ld\+json))[^>]*>", answer.text)
        assert scripts == []
        assert not re.search(r"<style|<[^>]+\s(?:on[a-z]+|style)=", answer.text)
        assert not re.search(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=\"(?:https?:)?//",
                             re.sub(r"<link rel=\"canonical\"[^>]+>", "", answer.text))  # fmt: skip


def test_only_the_configured_origins_may_frame_a_timetable(make_site: Callable[..., Site]) -> None:
    site = make_site(embed_allowed_origins=(ORIGIN, "https://*.other.example"))
    for path in ("/embed/venues/11", "/embed/venues/11?accent=puce", "/embed/nothing"):
        policy = site.request(path).headers["Content-Security-Policy"]
        assert policy.endswith(f"frame-ancestors 'self' {ORIGIN} https://*.other.example")
    for path in ("/venues/11", "/", "/embed.js", "/nowhere"):
        assert ORIGIN not in site.request(path).headers.get("Content-Security-Policy", "")


def test_private_responses_are_neither_cached_nor_indexed(site: Site) -> None:
    for path in all_paths(site.app):
        answer = site.request(path)
        cache_control = answer.headers.get("Cache-Control", "")
        personal = cache_control.startswith(("no-store", "private"))
        assert personal == (answer.status_code >= 400 or path in ("/healthz", "/readyz"))
        assert ("noindex" in answer.headers.get("X-Robots-Tag", "")) >= personal
    for answer in site.operator_pages():
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Robots-Tag"] == "noindex"


def test_other_origins_may_read_feeds_but_no_operator_pages(site: Site) -> None:
    preflight: dict[str, Any] = {"Origin": ORIGIN, "Access_Control_Request_Method": "GET"}
    for path in all_paths(site.app):
        get, options = site.request(path, **preflight), site.request(path, "OPTIONS", **preflight)
        assert "Access-Control-Allow-Credentials" not in get.headers
        assert get.headers.get("Access-Control-Allow-Origin") in (None, "*")
        kinds = "|".join((*(kind.value for kind in Kind), "private"))
        pattern = rf"/(?:{kinds})\b.*|/(?:catalogue|openapi)\.json"
        feed = re.fullmatch(pattern, path) and get.mimetype != "text/html"
        if feed:
            assert get.headers["Access-Control-Allow-Origin"] == "*", path
            assert options.headers["Access-Control-Allow-Origin"] == "*", path
        elif get.status_code == 200:
            assert "Access-Control-Allow-Methods" not in options.headers, path
            assert ("Access-Control-Allow-Origin" in get.headers) == (path == "/embed.js"), path
    for answer in site.operator_pages():
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("path", ["/status", "/metrics"])
def test_operator_pages_require_the_operator_token(
    make_site: Callable[..., Site], path: str
) -> None:
    site = make_site(operator_token="pässword")
    invalid = ("Bearer", "Basic", "Basic !", "Basic Zm9v", "Bearer \xff", "Digest x", "Bearer p",
           "Basic //79", "Basic OnDkc3N3b3Jk", "Negotiate", "\xe9", "Bearer pässwor")  # fmt: skip
    for credentials in invalid:
        answer = site.request(path, Authorization=credentials)
        assert answer.status_code == 401, credentials
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert site.client.get(path, auth=("x", "pässword")).status_code == 200
    hidden = make_site(operator_token=None)
    unknown = hidden.request("/nowhere")
    assert hidden.request(path, Authorization="Bearer x").data == unknown.data


def test_the_request_id_of_a_response_is_in_the_log(make_site: Callable[..., Site]) -> None:
    site = make_site(cold=True)
    for path in ("/venues/11.ics?venues=x", "/nowhere", "/private/x.ics"):
        request_id = site.request(path, X_Request_Id="chosen-by-the-visitor").headers[
            "X-Request-Id"
        ]
        assert re.fullmatch("[0-9a-f]{16}", request_id)
        assert f'"request_id": "{request_id}"' in site.log.getvalue()
    assert "chosen-by-the-visitor" not in site.log.getvalue()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_an_internal_error_is_logged_with_its_request_id_and_reveals_nothing(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch, log_format: str
) -> None:
    site = make_site(log_format=log_format)

    def failing_render(*args: Any, **kwargs: Any) -> bytes:
        secret = site.parts.config.token
        raise RuntimeError(f"a bug {len(secret)}")

    for suffix, form in FORMATS.items():
        monkeypatch.setitem(FORMATS, suffix, replace(form, render=failing_render))
    for path in ("/sessions.ics?past=1", "/sessions.json?past=1", "/sessions.txt?past=1"):
        answer = site.request(path)
        assert answer.status_code == 500
        assert answer.headers["X-Request-Id"] in answer.text
        assert answer.headers["X-Request-Id"] in site.log.getvalue()
        assert "RuntimeError" not in answer.text
    assert "RuntimeError" in site.log.getvalue()
    assert site.leaks() == {}
