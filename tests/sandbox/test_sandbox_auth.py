"""Tests of authentication, request modes and the rate limit."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from bridge.sandbox.api import create_api
from bridge.sandbox.http_server import SandboxServer
from bridge.sandbox.records import course, offering_type, registration_timeline, venue
from bridge.sandbox.studio import Studio

Call = Callable[..., requests.Response]


NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


class Clock:
    """A clock that the test advances."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def small_studio() -> Studio:
    """Three sessions: public, draft, private."""
    studio = Studio(
        venues=[venue(1, "Hall", "Europe/London")],
        offering_types=[
            offering_type(1, "Open"),
            offering_type(2, "Planned", is_draft=True),
            offering_type(3, "Staff", customer_visibility="private"),
        ],
        courses=[course(n, None, n) for n in (1, 2, 3)],
    )
    for n in (1, 2, 3):
        studio.add(course=n, starts_at="2026-01-05T18:00:00Z")
    return studio


@pytest.fixture
def serve() -> Iterator[Callable[..., Call]]:
    """Starts an API with the given settings; returns a function that requests the list from it."""
    with ExitStack() as stack:
        session = stack.enter_context(requests.Session())
        session.trust_env = False

        def start(**settings: Any) -> Call:
            studio = settings.pop("studio", None) or small_studio()
            server = stack.enter_context(SandboxServer(create_api(studio, **settings)))

            def call(
                authorization: str | None = "Bearer sandbox-token",
                path: str = "course_sessions",
                **headers: str,
            ) -> Any:
                sent_headers = {name.replace("_", "-"): value for name, value in headers.items()}
                if authorization is not None:
                    sent_headers["Authorization"] = authorization
                args = {"expand": "offering_type"} if path == "events" else {}
                url = f"{server.url}/{path}"
                return session.get(url, params=args, headers=sent_headers, timeout=5)

            return call

        yield start


def status_and_code(response: requests.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer wrong", "Token sandbox-token", "sandbox-token"],
)
def test_only_the_token_after_a_configured_scheme_is_accepted(
    serve: Callable[..., Call], authorization: str | None
) -> None:
    assert status_and_code(serve()(authorization)) == (401, "authentication_failed")


def test_every_configured_scheme_is_accepted(serve: Callable[..., Call]) -> None:
    call = serve(schemes=("Token", "JWT"), token="t0")
    assert call("Token t0").status_code == 200
    assert call("jwt t0").status_code == 200
    assert call("Bearer t0").status_code == 401


def test_an_error_has_teamups_body(serve: Callable[..., Call]) -> None:
    body = serve()("Bearer wrong").json()
    assert set(body) == {"code", "message", "type", "field_errors"}
    assert body["field_errors"] == {"non_field_errors": []}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, (400, "provider_header_missing")),
        ({"TeamUp_Provider_ID": "studio"}, (400, "provider_header_invalid")),
        ({"TeamUp_Provider_ID": "124"}, (403, "provider_invalid")),
    ],
)
def test_a_configured_provider_id_is_required(
    serve: Callable[..., Call], headers: dict[str, str], expected: tuple[int, str]
) -> None:
    call = serve(provider_id="123")
    assert status_and_code(call(**headers)) == expected
    assert call(TeamUp_Provider_ID="123").status_code == 200


def test_the_mode_is_required_only_with_multiple_modes(serve: Callable[..., Call]) -> None:
    assert serve()().status_code == 200
    call = serve(multiple_modes=True)
    assert status_and_code(call()) == (403, "mode_not_allowed")
    assert call(Teamup_Request_Mode="provider").status_code == 200


def test_a_mode_that_the_token_may_not_use_is_refused(serve: Callable[..., Call]) -> None:
    call = serve(modes=("customer",))
    assert status_and_code(call(Teamup_Request_Mode="provider")) == (403, "mode_not_allowed")
    assert status_and_code(call(Teamup_Request_Mode="owner")) == (403, "mode_not_allowed")


def test_customer_mode_lists_only_public_offering_types_without_drafts(
    serve: Callable[..., Call],
) -> None:
    call = serve()
    assert call(Teamup_Request_Mode="provider").json()["count"] == 3
    page = call(Teamup_Request_Mode="customer").json()
    assert [row["course"] for row in page["results"]] == [1]
    assert page["count"] == 1


def test_one_of_five_permissions_is_required(serve: Callable[..., Call]) -> None:
    refused = serve(permissions=frozenset({"revenue", "store"}))()
    assert status_and_code(refused) == (403, "permission_denied")
    assert serve(permissions=frozenset({"instructor_attendances"}))().status_code == 200


def test_requests_above_the_limit_per_minute_are_refused(serve: Callable[..., Call]) -> None:
    clock = Clock()
    call = serve(requests_per_minute=2, clock=clock)
    assert call().status_code == 200
    clock.now += 30
    assert call().status_code == 200
    refused = call()
    assert status_and_code(refused) == (429, "throttled")
    assert "Retry-After" not in refused.headers
    clock.now += 30
    assert call().status_code == 200
    assert call().status_code == 429


def studio_with_events() -> Studio:
    """The small studio, with events that the public page shows, and others; named by reason."""
    studio = small_studio()

    def add(name: str, start: datetime = NOW, **fields: Any) -> None:
        studio.add(kind="event", starts_at=start, name=name, **{"offering_type": 1, **fields})

    def timelines(*audiences: str) -> list[dict[str, Any]]:
        return [registration_timeline(n, kind, kind) for n, kind in enumerate(audiences, start=1)]

    add("public", attending_count=2)
    add("two days old", NOW - timedelta(days=2))
    add("members first", overriden_registration_timelines=timelines("private_url", "everyone"))
    add("revealed", calendar_opens_at=NOW - timedelta(days=1))
    add("four days old", NOW - timedelta(days=4))
    add("draft", offering_type=2)
    add("private", offering_type=3)
    add("appointment", is_appointment=True)
    add("by invitation", overriden_registration_timelines=timelines("private_url"))
    add("not revealed", calendar_opens_at=NOW + timedelta(days=1))
    return studio


PUBLIC = ["public", "two days old", "members first", "revealed"]


def names(response: requests.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [row["name"] for row in response.json()["results"]]


def test_without_a_token_only_what_the_public_page_shows_is_listed(
    serve: Callable[..., Call],
) -> None:
    call = serve(studio=studio_with_events(), anonymous=True, now=lambda: NOW)
    response = call(None, "events", TeamUp_Provider_ID="123")
    assert names(response) == PUBLIC
    assert response.json()["count"] == 4
    for row in response.json()["results"]:
        assert "customer_visibility" not in row["offering_type"]
        assert "small_session_attendances" not in row


def test_with_a_token_everything_is_listed_even_if_anonymous_reads_are_allowed(
    serve: Callable[..., Call],
) -> None:
    call = serve(studio=studio_with_events(), anonymous=True, now=lambda: NOW)
    response = call(path="events")
    assert len(names(response)) == 10
    row = response.json()["results"][0]
    assert row["offering_type"]["customer_visibility"] == "public"
    assert row["small_session_attendances"]


def test_customer_mode_lists_the_same_events_with_their_visibility(
    serve: Callable[..., Call],
) -> None:
    call = serve(studio=studio_with_events(), now=lambda: NOW)
    response = call(path="events", Teamup_Request_Mode="customer")
    assert names(response) == PUBLIC
    row = response.json()["results"][0]
    assert row["offering_type"]["customer_visibility"] == "public"


@pytest.mark.parametrize("path", ["events", "course_sessions"])
def test_anonymous_reads_are_refused_by_default(serve: Callable[..., Call], path: str) -> None:
    refused = serve()(None, path, TeamUp_Provider_ID="123")
    assert status_and_code(refused) == (401, "authentication_failed")


def test_anonymous_reads_of_course_sessions_can_be_allowed(serve: Callable[..., Call]) -> None:
    call = serve(anonymous=True)
    refused = call(None, TeamUp_Provider_ID="123")
    assert status_and_code(refused) == (401, "authentication_failed")
    options = {"anonymous": True, "anonymous_lists": ["course_sessions"]}
    call = serve(**options, now=lambda: datetime(2026, 1, 6, tzinfo=UTC))
    response = call(None, TeamUp_Provider_ID="123")
    assert [row["course"] for row in response.json()["results"]] == [1]
    assert status_and_code(call(None, "events", TeamUp_Provider_ID="123"))[0] == 401


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, (400, "provider_header_missing")),
        ({"TeamUp_Provider_ID": "studio"}, (400, "provider_header_invalid")),
        ({"TeamUp_Provider_ID": "124"}, (403, "provider_invalid")),
        (
            {"TeamUp_Provider_ID": "123", "Authorization": "Bearer wrong"},
            (401, "authentication_failed"),
        ),
    ],
)
def test_an_anonymous_read_needs_the_provider_and_no_invalid_token(
    serve: Callable[..., Call], headers: dict[str, str], expected: tuple[int, str]
) -> None:
    call = serve(anonymous=True, provider_id="123")
    assert status_and_code(call(None, "events", **headers)) == expected
    assert call(None, "events", TeamUp_Provider_ID="123").status_code == 200
