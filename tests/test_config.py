"""Every setting: what it is when unset, what it accepts, and how it refuses."""

import os
import pickle
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bridge import config
from bridge.config import (
    Availability,
    Config,
    ListStyle,
    Logo,
    LogRequests,
    UpstreamPlan,
    variables,
    warnings_about,
)
from bridge.errors import ConfigError
from bridge.languages import english, translated
from bridge.model import SourceName, Visibility

Load = Callable[..., Config]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Settings from environment variables alone; a token is there unless it is given."""

    def load(**variables: str) -> Config:
        for name, value in {"TEAMUP_API_TOKEN": "a-token", **variables}.items():
            monkeypatch.setenv(name, value)
        return config.load(os.environ)

    return load


def refusal(load: Load, **variables: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(**variables)
    return str(caught.value)


DEFAULTS: dict[str, tuple[str, Any]] = {
    "TEAMUP_AUTH_SCHEME": ("schemes", ("Bearer", "Token", "JWT")),
    "TEAMUP_SOURCES": ("sources", {SourceName.EVENTS, SourceName.COURSE_SESSIONS}),
    "TEAMUP_BASE_URL": ("base_url", "https://goteamup.com/api/v2"),
    "TEAMUP_PROVIDER_ID": ("provider_id", None),
    "TEAMUP_REQUEST_MODE": ("request_mode", None),
    "TEAMUP_LIST_STYLE": ("list_style", ListStyle.CSV),
    "TEAMUP_REQUESTS_PER_MINUTE": ("requests_per_minute", 200),
    "TEAMUP_PAGE_CONCURRENCY": ("page_concurrency", 4),
    "WALK_MAX_ROWS": ("walk_max_rows", 100_000),
    "WALK_MAX_BYTES": ("walk_max_bytes", 268_435_456),
    "UPSTREAM_PLAN": ("plan", UpstreamPlan.WIDE),
    "CACHE_URL": ("cache_url", "sqlite:///var/bridge.sqlite3"),
    "REDIS_URL": ("cache_url", "sqlite:///var/bridge.sqlite3"),
    "CACHE_TTL": ("cache_ttl", 300),
    "STALE_WHILE_REVALIDATE": ("stale_while_revalidate", 3600),
    "STALE_IF_ERROR": ("stale_if_error", 604800),
    "REFRESH_AHEAD": ("refresh_ahead", True),
    "CACHE_MAX_BYTES": ("cache_max_bytes", 67108864),
    "WINDOW_PAST_DAYS": ("window_past_days", 30),
    "WINDOW_FUTURE_DAYS": ("window_future_days", 90),
    "FEED_MAX_BYTES": ("feed_max_bytes", 1000000),
    "PUBLIC_HORIZON_DAYS": ("public_horizon_days", None),
    "PUBLIC_VISIBILITY": ("public_visibility", {Visibility.PUBLIC}),
    "PUBLIC_AVAILABILITY": ("public_availability", Availability.FULL),
    "SHRINK_HOLD": ("shrink_hold", 21600),
    "ALERT_URL": ("alert_url", None),
    "CHANGES_URL": ("changes_url", None),
    "CHANGES_KEY": ("changes_key", None),
    "PUBLIC_BASE_URL": ("public_base_url", None),
    "FEED_SIGNING_KEYS": ("signing_keys", ()),
    "FEED_REVOKED": ("revoked", frozenset()),
    "LOG_LEVEL": ("log_level", "info"),
    "LOG_FORMAT": ("log_format", "json"),
    "LOG_REQUESTS": ("log_requests", LogRequests.MISSES),
    "EMBED_ALLOWED_ORIGINS": ("embed_allowed_origins", ("*",)),
    "CATALOG": ("catalog", True),
    "STUDIO_NAME": ("studio_name", ""),
    "STUDIO_URL": ("studio_url", None),
    "STUDIO_LOGO": ("studio_logo", None),
    "STUDIO_COLOR": ("studio_color", None),
    "STUDIO_TIMEZONE": ("studio_timezone", None),
    "FEED_LANGUAGE": ("feed_language", english()),
    "TRUSTED_PROXIES": ("trusted_proxies", 0),
    "OPERATOR_TOKEN": ("operator_token", None),
    "HOST": ("host", "0.0.0.0"),
    "PORT": ("port", 8000),
    "WEB_CONCURRENCY": ("workers", 1),
    "BRIDGE_SANDBOX": ("sandbox", False),
    "DYNO": ("ephemeral_disk", False),
}

defaults = pytest.mark.parametrize(
    ("variable", "field", "default"), [(name, *rest) for name, rest in DEFAULTS.items()]
)


@defaults
def test_unset_has_the_documented_default(
    load: Load, variable: str, field: str, default: Any
) -> None:
    assert getattr(load(), field) == default


@defaults
@pytest.mark.parametrize("empty", ["", "  \t"], ids=["empty", "blank"])
def test_empty_is_as_good_as_unset(
    load: Load, variable: str, field: str, default: Any, empty: str
) -> None:
    assert getattr(load(**{variable: empty}), field) == default


def test_every_setting_is_looked_at_here() -> None:
    documented = {field for field, _ in DEFAULTS.values()}
    others = {"token", "store_variable", "unknown_variables", "slug", "hosts", "studios"}
    assert documented | others == set(Config.__dataclass_fields__)


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("TEAMUP_API_TOKEN", "0123abcDEF_-.~+/=", "0123abcDEF_-.~+/="),
        ("TEAMUP_API_TOKEN", "x", "x"),
        ("TEAMUP_API_TOKEN", " padded ", "padded"),
        ("TEAMUP_API_TOKEN", "$HOME{{X}}", "$HOME{{X}}"),
        ("TEAMUP_AUTH_SCHEME", "Bearer", ("Bearer",)),
        ("TEAMUP_AUTH_SCHEME", "Token", ("Token",)),
        ("TEAMUP_AUTH_SCHEME", "JWT", ("JWT",)),
        ("TEAMUP_AUTH_SCHEME", "auto", ("Bearer", "Token", "JWT")),
        ("TEAMUP_SOURCES", "events", {SourceName.EVENTS}),
        ("TEAMUP_SOURCES", "course_sessions", {SourceName.COURSE_SESSIONS}),
        (
            "TEAMUP_SOURCES",
            "course_sessions, events",
            {SourceName.EVENTS, SourceName.COURSE_SESSIONS},
        ),
        ("TEAMUP_PROVIDER_ID", "12345", "12345"),
        ("TEAMUP_REQUEST_MODE", "provider", "provider"),
        ("TEAMUP_REQUEST_MODE", "customer", "customer"),
        ("TEAMUP_LIST_STYLE", "csv", ListStyle.CSV),
        ("TEAMUP_LIST_STYLE", "repeat", ListStyle.REPEAT),
        ("TEAMUP_REQUESTS_PER_MINUTE", "1", 1),
        ("TEAMUP_REQUESTS_PER_MINUTE", "1000", 1000),
        ("TEAMUP_PAGE_CONCURRENCY", "1", 1),
        ("UPSTREAM_PLAN", "wide", UpstreamPlan.WIDE),
        ("UPSTREAM_PLAN", "narrow", UpstreamPlan.NARROW),
        ("CACHE_URL", "sqlite:///some/where.db", "sqlite:///some/where.db"),
        ("CACHE_URL", "sqlite:////var/lib/bridge.db", "sqlite:////var/lib/bridge.db"),
        ("CACHE_URL", "redis://:pw@cache:6379/0", "redis://:pw@cache:6379/0"),
        ("CACHE_URL", "rediss://cache:6379/0", "rediss://cache:6379/0"),
        ("CACHE_URL", "memory://", "memory://"),
        ("REDIS_URL", "redis://cache:6379/0", "redis://cache:6379/0"),
        ("CACHE_TTL", "1", 1),
        ("STALE_WHILE_REVALIDATE", "0", 0),
        ("STALE_IF_ERROR", "0", 0),
        ("REFRESH_AHEAD", "off", False),
        ("REFRESH_AHEAD", "on", True),
        ("CACHE_MAX_BYTES", "0", 0),
        ("WINDOW_PAST_DAYS", "0", 0),
        ("WINDOW_PAST_DAYS", "365", 365),
        ("WINDOW_FUTURE_DAYS", "0", 0),
        ("WINDOW_FUTURE_DAYS", "365", 365),
        ("FEED_MAX_BYTES", "0", 0),
        ("PUBLIC_HORIZON_DAYS", "0", 0),
        ("PUBLIC_HORIZON_DAYS", "28", 28),
        ("PUBLIC_HORIZON_DAYS", "3650", 3650),
        ("PUBLIC_VISIBILITY", "public", {Visibility.PUBLIC}),
        (
            "PUBLIC_VISIBILITY",
            "public, membership_holders ,private",
            {Visibility.PUBLIC, Visibility.MEMBERSHIP_HOLDERS, Visibility.PRIVATE},
        ),
        ("PUBLIC_AVAILABILITY", "none", Availability.NONE),
        ("PUBLIC_AVAILABILITY", "full", Availability.FULL),
        ("PUBLIC_AVAILABILITY", "spots", Availability.SPOTS),
        ("SHRINK_HOLD", "0", 0),
        ("ALERT_URL", "https://hooks.example/x/?y=z", "https://hooks.example/x/?y=z"),
        ("ALERT_URL", "http://hooks.example/x", "http://hooks.example/x"),
        ("CHANGES_URL", "https://hooks.example/x", "https://hooks.example/x"),
        ("PUBLIC_BASE_URL", "https://cal.example.org/", "https://cal.example.org"),
        ("PUBLIC_BASE_URL", "http://localhost:8000", "http://localhost:8000"),
        ("PUBLIC_BASE_URL", "https://example.org/calendars/", "https://example.org/calendars"),
        ("PUBLIC_BASE_URL", "https://example.org/?", "https://example.org"),
        ("PUBLIC_BASE_URL", "https://example.org/calendars/#", "https://example.org/calendars"),
        ("PUBLIC_BASE_URL", "https://xn--w-uga1v8h.example", "https://xn--w-uga1v8h.example"),
        ("FEED_SIGNING_KEYS", "newest, older,k", ("newest", "older", "k")),
        ("FEED_SIGNING_KEYS", "only,", ("only",)),
        ("FEED_REVOKED", f"{'0' * 16}, {'AB' * 8},{'0' * 16},", {"0" * 16, "ab" * 8}),
        ("LOG_LEVEL", "debug", "debug"),
        ("LOG_LEVEL", "warning", "warning"),
        ("LOG_LEVEL", "error", "error"),
        ("LOG_FORMAT", "json", "json"),
        ("LOG_FORMAT", "console", "console"),
        ("LOG_REQUESTS", "misses", LogRequests.MISSES),
        ("LOG_REQUESTS", "all", LogRequests.ALL),
        ("EMBED_ALLOWED_ORIGINS", "*", ("*",)),
        (
            "EMBED_ALLOWED_ORIGINS",
            "https://www.example.org, http://localhost:3000",
            ("https://www.example.org", "http://localhost:3000"),
        ),
        ("CATALOG", "off", False),
        ("CATALOG", "on", True),
        ("STUDIO_NAME", "Åsa’s Studio; Yoga & Co", "Åsa’s Studio; Yoga & Co"),
        (
            "STUDIO_URL",
            "https://studio.example/?from=calendar",
            "https://studio.example/?from=calendar",
        ),
        ("STUDIO_COLOR", "0b5d57", "0b5d57"),
        ("STUDIO_COLOR", "#F5C", "ff55cc"),
        ("STUDIO_TIMEZONE", "Pacific/Auckland", "Pacific/Auckland"),
        ("FEED_LANGUAGE", "de", translated("de")),
        ("FEED_LANGUAGE", "en-US", translated("en-US")),
        ("TRUSTED_PROXIES", "2", 2),
        ("OPERATOR_TOKEN", "o", "o"),
        ("HOST", "127.0.0.1", "127.0.0.1"),
        ("HOST", "::", "::"),
        ("HOST", "[::1]", "::1"),
        ("HOST", "localhost", "127.0.0.1"),
        ("PORT", "5000", 5000),
        ("PORT", "65535", 65535),
        ("WEB_CONCURRENCY", "4", 4),
        ("BRIDGE_SANDBOX", "1", True),
        ("DYNO", "web.1", True),
    ],
)
def test_what_is_documented_is_accepted(
    load: Load, variable: str, value: str, expected: Any
) -> None:
    field = DEFAULTS[variable][0] if variable in DEFAULTS else "token"
    assert getattr(load(**{variable: value}), field) == expected


WHOLE = {
    "TEAMUP_REQUESTS_PER_MINUTE": 1,
    "TEAMUP_PAGE_CONCURRENCY": 1,
    "WALK_MAX_ROWS": 1,
    "WALK_MAX_BYTES": 1,
    "CACHE_TTL": 1,
    "STALE_WHILE_REVALIDATE": 0,
    "STALE_IF_ERROR": 0,
    "CACHE_MAX_BYTES": 0,
    "WINDOW_PAST_DAYS": 0,
    "WINDOW_FUTURE_DAYS": 0,
    "FEED_MAX_BYTES": 0,
    "PUBLIC_HORIZON_DAYS": 0,
    "SHRINK_HOLD": 0,
    "TRUSTED_PROXIES": 0,
    "PORT": 0,
    "WEB_CONCURRENCY": 1,
}
NO_NUMBERS = ["-1", "+5", "1.5", "1e3", "0x10", "1_000", "5m", "a lot", "٣", "²", "9" * 400]


@pytest.mark.parametrize("variable", WHOLE)
def test_a_number_is_refused_below_what_makes_sense_and_in_any_other_spelling(
    load: Load, variable: str
) -> None:
    below = [str(WHOLE[variable] - 1)]
    for value in [*below, *NO_NUMBERS]:
        text = refusal(load, **{variable: value})
        assert text.startswith(f"{variable}: ")
        assert value[:40] in text or ascii(value[:40]) in text
        assert f"accepted: a whole number, {WHOLE[variable]} " in text


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("WINDOW_PAST_DAYS", "366"),
        ("WINDOW_FUTURE_DAYS", "366"),
        ("PUBLIC_HORIZON_DAYS", "3651"),
        ("PORT", "65536"),
    ],
)
def test_a_number_is_refused_above_what_makes_sense(load: Load, variable: str, value: str) -> None:
    text = refusal(load, **{variable: value})
    assert text.startswith(f"{variable}: {value!r}")
    assert f"to {int(value) - 1}" in text


@pytest.mark.parametrize(
    ("variable", "value", "accepted"),
    [
        ("TEAMUP_AUTH_SCHEME", "Basic", "auto, Bearer, Token, JWT, none"),
        ("TEAMUP_SOURCES", "classes", "events, course_sessions"),
        ("TEAMUP_BASE_URL", "http://goteamup.com/api/v2", "https"),
        ("TEAMUP_BASE_URL", "goteamup.com/api/v2", "https"),
        ("TEAMUP_BASE_URL", "ftp://goteamup.com/api/v2", "https"),
        ("TEAMUP_BASE_URL", "https://", "https"),
        ("TEAMUP_BASE_URL", "https://goteamup.com:port/api/v2", "https"),
        ("TEAMUP_BASE_URL", "https://goteamup.com/api/v2?page=2", "https"),
        ("TEAMUP_BASE_URL", "https://goteamup.com/api/v2#x", "https"),
        ("TEAMUP_BASE_URL", "https://go teamup.com/api/v2", "https"),
        ("TEAMUP_PROVIDER_ID", "12 34", "printable ASCII"),
        ("TEAMUP_PROVIDER_ID", "12\r\nX-Evil: 1", "printable ASCII"),
        ("TEAMUP_REQUEST_MODE", "staff", "provider, customer"),
        ("TEAMUP_LIST_STYLE", "comma", "csv, repeat"),
        ("UPSTREAM_PLAN", "both", "wide, narrow"),
        ("REFRESH_AHEAD", "maybe", "on, off"),
        ("CATALOG", "maybe", "on, off"),
        ("STUDIO_NAME", "Riverside\nStudio", "one line"),
        ("STUDIO_URL", "studio.example", "http"),
        ("STUDIO_URL", "javascript:alert(1)", "http"),
        ("STUDIO_LOGO", "logo.jpg", ".svg or .png"),
        ("STUDIO_LOGO", "nowhere/logo.svg", ".svg or .png"),
        ("STUDIO_COLOR", "teal", "hex digits"),
        ("STUDIO_TIMEZONE", "Mars/Olympus", "Europe/London"),
        ("STUDIO_TIMEZONE", "GMT+1", "Europe/London"),
        ("FEED_LANGUAGE", "German", "de, en, es, fr"),
        ("FEED_LANGUAGE", "ja", "de, en, es, fr"),
        ("PUBLIC_VISIBILITY", "everybody", "public, membership_holders, private"),
        ("PUBLIC_AVAILABILITY", "counts", "none, full, spots"),
        ("LOG_LEVEL", "loud", "debug, info, warning, error"),
        ("LOG_FORMAT", "xml", "json, console"),
        ("LOG_REQUESTS", "none", "misses, all"),
        ("EMBED_ALLOWED_ORIGINS", "www.example.org", "https://"),
        ("EMBED_ALLOWED_ORIGINS", "https://a.example/path", "https://"),
        ("EMBED_ALLOWED_ORIGINS", "https://a.example:٣", "https://"),
        ("EMBED_ALLOWED_ORIGINS", "https://a.example; script-src *", "https://"),
        ("HOST", "cal.example.org", "an IP address"),
        ("HOST", "256.0.0.1", "an IP address"),
        ("HOST", "127.0.0.1:8000", "an IP address"),
        ("PUBLIC_BASE_URL", "cal.example.org", "http"),
        ("PUBLIC_BASE_URL", "ftp://cal.example.org", "http"),
        ("PUBLIC_BASE_URL", "https://cal.example.org/?x=1", "http"),
        ("PUBLIC_BASE_URL", "https://cal.example.org/#top", "http"),
        ("PUBLIC_BASE_URL", "https://cal example.org", "http"),
        ("PUBLIC_BASE_URL", "javascript:alert(1)", "http"),
        ("PUBLIC_BASE_URL", "https://żółw.example", "Punycode"),
        ("PUBLIC_BASE_URL", "https://example.org/żółw", "percent-encoding"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name_and_value_with_what_is_accepted(
    load: Load, variable: str, value: str, accepted: str
) -> None:
    text = refusal(load, **{variable: value})
    name, _, rest = text.partition(": ")
    problem, _, offered = rest.rpartition("; accepted: ")
    assert name == variable
    assert accepted in offered
    assert repr(value)[1:-1] in problem


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><path d="M0 0h1v1z"/></svg>'
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


def test_settings_can_be_passed_to_another_process(load: Load, tmp_path: Path) -> None:
    (tmp_path / "logo.svg").write_bytes(SVG)
    settings = load(STUDIO_LOGO=str(tmp_path / "logo.svg"), FEED_LANGUAGE="de")
    assert pickle.loads(pickle.dumps(settings)) == settings


@pytest.mark.parametrize(("name", "content"), [("logo.svg", SVG), ("logo.png", PNG)])
def test_a_logo_may_be_a_small_svg_or_png_file(
    load: Load, tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    logo = load(STUDIO_LOGO=str(tmp_path / name)).studio_logo
    assert logo == Logo(Path(name).suffix, content)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("logo.svg", SVG[:-3], "is not a valid .svg file"),
        ("logo.svg", b"<html/>", "is not a valid .svg file"),
        ("logo.svg", b"", "is not a valid .svg file"),
        ("logo.svg", PNG, "is not a valid .svg file"),
        ("logo.png", SVG, "is not a valid .png file"),
        ("logo.png", PNG + b"\0" * 100_000, "it has more than 100000 bytes"),
    ],
)
def test_a_logo_that_cannot_be_shown_is_refused(
    load: Load, tmp_path: Path, name: str, content: bytes, problem: str
) -> None:
    (tmp_path / name).write_bytes(content)
    text = refusal(load, STUDIO_LOGO=str(tmp_path / name))
    assert text.endswith(f"{problem}; accepted: an .svg or .png file of at most 100 kB")


def test_a_name_that_fits_into_no_heading_is_refused(load: Load) -> None:
    assert "at most 100 characters" in refusal(load, STUDIO_NAME="x" * 101)


def test_a_logo_that_cannot_be_read_is_refused_with_the_reason(load: Load) -> None:
    assert "cannot be read: No such file or directory" in refusal(load, STUDIO_LOGO="no/logo.png")


@pytest.mark.parametrize(
    "value",
    [
        "everything",
        f'"{"0" * 16}"',
        "0" * 15,
        "0" * 17,
        f"{'0' * 16};{'1' * 16}",
        f"{'0' * 16} {'1' * 16}",
        f"{'0' * 16},{'٣' * 16}",
        f"{'0' * 16},https://cal.example/private/s3cret.ics",
        ",",
    ],
)
def test_a_value_that_revokes_no_private_feed_is_refused_and_not_quoted(
    load: Load, value: str
) -> None:
    assert refusal(load, FEED_REVOKED=value) == (
        "FEED_REVOKED: has a value that is not the id of a private feed;"
        " accepted: ids of 16 hexadecimal digits, separated by commas, as sign and revoke print"
    )


def test_in_a_list_the_one_bad_value_is_named(load: Load) -> None:
    text = refusal(load, PUBLIC_VISIBILITY="public,pubic")
    assert "'pubic'" in text
    text = refusal(load, TEAMUP_SOURCES="events,course_session")
    assert "'course_session'" in text


@pytest.mark.parametrize("variable", list(DEFAULTS))
@pytest.mark.parametrize("value", ["no\nsuch\r\nvalue", "x\u2028y\x85z", "v" * 100_000, "\x1b[31m"])
def test_whatever_the_value_a_refusal_is_one_short_printable_line(
    load: Load, variable: str, value: str
) -> None:
    with suppress(ConfigError):
        load(**{variable: value})
        return  # it can be used
    text = refusal(load, **{variable: value})
    assert text.startswith(f"{variable}: ")
    assert text.isprintable()
    assert len(text) < 400


@pytest.mark.parametrize("value", [None, "", " \n"], ids=["unset", "empty", "blank"])
def test_without_a_token_the_start_is_refused_and_the_variable_named(
    load: Load, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    if value is None:
        monkeypatch.delenv("TEAMUP_API_TOKEN", raising=False)
        with pytest.raises(ConfigError) as caught:
            config.load(os.environ)
        text = str(caught.value)
    else:
        text = refusal(load, TEAMUP_API_TOKEN=value)
    assert text.startswith("TEAMUP_API_TOKEN: is not set; accepted: ")
    assert "\n" not in text


def test_without_a_token_the_scheme_none_needs_the_providers_id(load: Load) -> None:
    anonymous = {"TEAMUP_API_TOKEN": "", "TEAMUP_AUTH_SCHEME": "none"}
    text = refusal(load, **anonymous)
    assert text.startswith("TEAMUP_PROVIDER_ID: is not set")
    assert "TEAMUP_AUTH_SCHEME=none" in text
    assert "\n" not in text
    found = load(**anonymous, TEAMUP_PROVIDER_ID="123")
    assert (found.schemes, found.token) == ((), "")
    assert not [warning for warning in warnings_about(found) if "TEAMUP_API_TOKEN" in warning]


def test_a_token_that_the_scheme_none_does_not_use_is_a_warning(load: Load) -> None:
    found = load(TEAMUP_AUTH_SCHEME="none", TEAMUP_PROVIDER_ID="123", TEAMUP_API_TOKEN="x" * 30)
    [warning] = [warning for warning in warnings_about(found) if "TEAMUP_API_TOKEN" in warning]
    assert "TEAMUP_AUTH_SCHEME" in warning


@pytest.mark.parametrize("value", ["12 34", "12\r\nX-Evil: 1"])
def test_with_the_scheme_none_a_providers_id_that_cannot_be_used_is_reported_once(
    load: Load, value: str
) -> None:
    text = refusal(load, TEAMUP_AUTH_SCHEME="none", TEAMUP_PROVIDER_ID=value)
    assert text.startswith("TEAMUP_PROVIDER_ID: ")
    assert "printable ASCII" in text
    assert "is not set" not in text


# Addresses


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8010", "127.8.9.1", "localhost:1", "LOCALHOST", "[::1]:8010"]
)
def test_upstream_may_be_plain_http_on_a_loopback_address(load: Load, host: str) -> None:
    assert load(TEAMUP_BASE_URL=f"http://{host}/api/v2").base_url == f"http://{host}/api/v2"


@pytest.mark.parametrize(
    "host",
    [
        "goteamup.com",
        "127.0.0.1.example.org",
        "localhost.example.org",
        "notlocalhost",
        "0.0.0.0",
        "10.0.0.1",
        "[::]",
        "2130706433",
    ],
)
def test_upstream_may_not_be_plain_http_anywhere_else(load: Load, host: str) -> None:
    text = refusal(load, TEAMUP_BASE_URL=f"http://{host}/api/v2")
    assert text.startswith(f"TEAMUP_BASE_URL: 'http://{host}/api/v2'")
    assert "http on a loopback address" in text


@pytest.mark.parametrize(
    "host", ["localhost@goteamup.com", "127.0.0.1:x@goteamup.com", "127.0.0.1\\@goteamup.com"]
)
def test_upstream_is_not_taken_for_loopback_by_what_stands_before_the_host(
    load: Load, host: str
) -> None:
    refusal(load, TEAMUP_BASE_URL=f"http://{host}/api/v2")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https://goteamup.com//api/v2", "https://goteamup.com/api/v2"),
        ("https://goteamup.com///api//v2//", "https://goteamup.com/api/v2"),
        ("https://goteamup.com/api/v2/", "https://goteamup.com/api/v2"),
        ("HTTPS://goteamup.com/api/v2", "https://goteamup.com/api/v2"),
        ("https://goteamup.com", "https://goteamup.com"),
        ("https://goteamup.com//", "https://goteamup.com"),
    ],
)
def test_doubled_and_trailing_slashes_of_upstreams_address_are_put_right(
    load: Load, given: str, expected: str
) -> None:
    assert load(TEAMUP_BASE_URL=given).base_url == expected


# The store


def test_the_store_is_the_one_of_redis_url_where_cache_url_is_unset(load: Load) -> None:
    assert load(REDIS_URL="redis://a:1/0").cache_url == "redis://a:1/0"
    assert load(CACHE_URL="memory://", REDIS_URL="redis://a:1/0").cache_url == "memory://"
    assert load(CACHE_URL="  ", REDIS_URL="redis://a:1/0").cache_url == "redis://a:1/0"


def test_a_redis_url_that_nobody_asks_for_stops_nothing(load: Load) -> None:
    assert load(CACHE_URL="memory://", REDIS_URL="nonsense").cache_url == "memory://"


@pytest.mark.parametrize("variable", ["CACHE_URL", "REDIS_URL"])
@pytest.mark.parametrize(
    "value",
    [
        "sqlite://relative.db",
        "sqlite:///",
        "redis://",
        "redis:cache",
        "memory",
        "memory://x",
        "memcached://cache",
        "/var/lib/bridge.db",
    ],
)
def test_a_store_that_there_is_not_is_refused(load: Load, variable: str, value: str) -> None:
    text = refusal(load, **{variable: value})
    assert text.startswith(f"{variable}: ")
    for accepted in ("sqlite:///", "sqlite:////", "redis://", "rediss://", "memory://"):
        assert accepted in text.partition("accepted: ")[2]


def test_memory_serves_one_process_only(load: Load) -> None:
    assert load(CACHE_URL="memory://", WEB_CONCURRENCY="1").workers == 1
    text = refusal(load, CACHE_URL="memory://", WEB_CONCURRENCY="2")
    assert text.startswith("CACHE_URL: memory://")
    assert "WEB_CONCURRENCY is 2" in text
    assert "\n" not in text


@pytest.mark.parametrize("url", ["sqlite:///var/x.db", "redis://cache/0"])
def test_a_shared_store_serves_several_processes(load: Load, url: str) -> None:
    assert load(CACHE_URL=url, WEB_CONCURRENCY="8").workers == 8


# Secrets

CANARY = "c4n4ry-hunter2"


def test_no_secret_is_in_the_repr_of_the_settings(load: Load) -> None:
    settings = load(
        TEAMUP_API_TOKEN=f"{CANARY}-1",
        CACHE_URL=f"redis://user:{CANARY}-2@cache/0",
        ALERT_URL=f"https://hooks.example/{CANARY}-3",
        FEED_SIGNING_KEYS=f"{CANARY}-4,{CANARY}-5",
        OPERATOR_TOKEN=f"{CANARY}-6",
        CHANGES_URL=f"https://hooks.example/{CANARY}-7",
        CHANGES_KEY=f"{CANARY}-8",
    )
    assert settings.token == f"{CANARY}-1"
    for text in (repr(settings), str(settings), f"{settings}"):
        assert CANARY not in text
        assert "base_url='https://goteamup.com/api/v2'" in text


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TEAMUP_API_TOKEN", f"{CANARY} {CANARY}"),
        ("TEAMUP_API_TOKEN", f"{CANARY}\nx"),
        ("TEAMUP_API_TOKEN", f"{CANARY}é"),
        ("TEAMUP_BASE_URL", f"https://user:{CANARY}@goteamup.com/api/v2"),
        ("TEAMUP_BASE_URL", f"https://:{CANARY}@goteamup.com/api/v2"),
        ("TEAMUP_BASE_URL", f"http://{CANARY}@goteamup.com/api/v2"),
        ("TEAMUP_BASE_URL", f"ftp://user:{CANARY}@goteamup.com/api/v2"),
        ("CACHE_URL", f"postgres://user:{CANARY}@cache/0"),
        ("CACHE_URL", f"redis:/user:{CANARY}@cache/0"),
        ("CACHE_URL", f"user:{CANARY}@cache"),
        ("REDIS_URL", f"http://user:{CANARY}@cache/0"),
        ("ALERT_URL", f"hooks.example/{CANARY}"),
        ("ALERT_URL", f"ftp://hooks.example/{CANARY}"),
        ("CHANGES_URL", f"hooks.example/{CANARY}"),
        ("PUBLIC_BASE_URL", f"https://user:{CANARY}@cal.example.org"),
        ("PUBLIC_BASE_URL", f"https://:{CANARY}@cal.example.org"),
    ],
)
def test_a_secret_that_cannot_be_used_is_refused_without_being_told(
    load: Load, variable: str, value: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(**{variable: value})
    told = "".join(traceback.format_exception(caught.value, chain=True))
    assert str(caught.value).startswith(f"{variable}: ")
    assert CANARY not in str(caught.value)
    assert CANARY not in told


# Secrets in files

SECRETS: dict[str, tuple[str, str, Any]] = {
    "TEAMUP_API_TOKEN": ("token", "a-secret", "a-secret"),
    "FEED_SIGNING_KEYS": ("signing_keys", "key-1, key-2\nkey-3", ("key-1", "key-2", "key-3")),
    "OPERATOR_TOKEN": ("operator_token", "a-secret", "a-secret"),
    "ALERT_URL": ("alert_url", "https://hooks.example/a", "https://hooks.example/a"),
    "CHANGES_URL": ("changes_url", "https://hooks.example/c", "https://hooks.example/c"),
    "CHANGES_KEY": ("changes_key", "a-secret", "a-secret"),
    "CACHE_URL": ("cache_url", "redis://:pw@cache/0", "redis://:pw@cache/0"),
    "REDIS_URL": ("cache_url", "rediss://:pw@cache/0", "rediss://:pw@cache/0"),
}

secrets = pytest.mark.parametrize("name", list(SECRETS))


def _load_file(load: Load, name: str, path: Path | str, **variables: str) -> Config:
    token = {"TEAMUP_API_TOKEN": ""} if name == "TEAMUP_API_TOKEN" else {}
    return load(**token | {f"{name}_FILE": str(path)} | variables)


@secrets
@pytest.mark.parametrize("end", ["", "\n", "\r\n"], ids=["bare", "newline", "crlf"])
def test_a_secret_can_be_read_from_a_file(load: Load, tmp_path: Path, name: str, end: str) -> None:
    field, content, expected = SECRETS[name]
    (tmp_path / "secret").write_bytes(f"{content}{end}".encode())
    assert getattr(_load_file(load, name, tmp_path / "secret"), field) == expected
    # an empty variable is an unset one
    assert getattr(_load_file(load, name, tmp_path / "secret", **{name: ""}), field) == expected


@secrets
def test_a_secret_given_twice_is_refused(load: Load, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text(CANARY)
    text = refusal(load, **{name: SECRETS[name][1], f"{name}_FILE": str(tmp_path / "secret")})
    assert text == f"{name}_FILE: is set, and {name} as well; accepted: one of the two"


@secrets
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "No such file or directory"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (f"{CANARY}é".encode("latin-1"), "is not UTF-8"),
        (f"{CANARY} ".encode() * 10_000, "more than 65536 bytes"),
    ],
    ids=["missing", "empty", "blank", "latin-1", "large"],
)
def test_a_file_without_a_usable_secret_is_named_and_not_quoted(
    load: Load, tmp_path: Path, name: str, content: bytes | None, problem: str
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        _load_file(load, name, path)
    assert list(caught.value.problems) == [f"{name}_FILE"]
    text = str(caught.value)
    assert repr(str(path)) in text
    assert problem in text
    assert text.endswith(f"a text file in UTF-8 with the value of {name}")
    assert CANARY not in "".join(traceback.format_exception(caught.value, chain=True))


def test_a_secret_in_a_pipe_or_folder_is_refused_at_once(load: Load, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(ConfigError, match="is not a regular file"):
            _load_file(load, "OPERATOR_TOKEN", path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("TEAMUP_API_TOKEN", f"{CANARY} {CANARY}"),
        ("ALERT_URL", f"{CANARY}://hooks"),
        ("CACHE_URL", f"{CANARY}://cache"),
        ("CACHE_URL", f"{CANARY}://cache".upper()),
        ("REDIS_URL", f"-----BEGIN KEY\n{CANARY}://"),
    ],
)
def test_a_file_with_another_content_is_named_and_not_quoted(
    load: Load, tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / "secret").write_text(content)
    with pytest.raises(ConfigError) as caught:
        _load_file(load, name, tmp_path / "secret")
    told = "".join(traceback.format_exception(caught.value, chain=True))
    assert str(caught.value).startswith(f"{name}_FILE: '{tmp_path}/secret': ")
    assert CANARY not in told.lower()


def test_a_store_of_ones_own_in_a_file_comes_before_the_platforms(
    load: Load, tmp_path: Path
) -> None:
    (tmp_path / "own").write_text("redis://own/0\n")
    settings = load(CACHE_URL_FILE=str(tmp_path / "own"), REDIS_URL="redis://platform/0")
    assert settings.cache_url == "redis://own/0"


def test_a_file_with_a_token_is_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not config.has_account(os.environ)
    monkeypatch.setenv("TEAMUP_API_TOKEN_FILE", "/run/secrets/token")
    assert config.has_account(os.environ)


def test_quotation_marks_in_a_file_are_a_warning(load: Load, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text('"hunter2-hunter2-h"\n')
    [warning] = [
        text
        for text in warnings_about(_load_file(load, "OPERATOR_TOKEN", tmp_path / "secret"))
        if "OPERATOR_TOKEN" in text
    ]
    assert "quotation marks" in warning


def test_a_bad_setting_beside_it_does_not_tell_the_token(load: Load) -> None:
    assert CANARY not in refusal(load, TEAMUP_API_TOKEN=CANARY, CACHE_TTL="soon")


# Warnings: it can be used, and is probably not meant

SETTLED = {
    "TEAMUP_API_TOKEN": "t" * 16,
    "PUBLIC_BASE_URL": "https://cal.example.org",
    "OPERATOR_TOKEN": "o" * 16,
    "FEED_SIGNING_KEYS": f"{'k' * 16},{'l' * 16}",
    "TEAMUP_REQUESTS_PER_MINUTE": "250",
    "CHANGES_URL": "https://hooks.example/x",
    "CHANGES_KEY": "c" * 16,
}


def test_settled_settings_warn_of_nothing(load: Load) -> None:
    assert not [*warnings_about(load(**SETTLED))]


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("TEAMUP_REQUESTS_PER_MINUTE", "251", "TEAMUP_REQUESTS_PER_MINUTE 250"),
        ("TEAMUP_API_TOKEN", "hunter2-hunter2", "TEAMUP_API_TOKEN 16"),
        ("OPERATOR_TOKEN", "hunter2-hunter2", "OPERATOR_TOKEN 16"),
        ("FEED_SIGNING_KEYS", f"{'k' * 16},hunter2", "FEED_SIGNING_KEYS 16"),
        ("TEAMUP_API_TOKEN", '"hunter2-hunter2-h"', "TEAMUP_API_TOKEN quotation"),
        ("OPERATOR_TOKEN", "'hunter2-hunter2-h'", "OPERATOR_TOKEN quotation"),
        ("CHANGES_KEY", "hunter2", "CHANGES_KEY 16"),
        ("CHANGES_KEY", "", "CHANGES_URL CHANGES_KEY receiver"),
        ("CHANGES_URL", "", "CHANGES_KEY not used"),
        ("PUBLIC_BASE_URL", "", "PUBLIC_BASE_URL"),
        ("BRIDGE_SANDBOX", "1", "sandbox TEAMUP_API_TOKEN"),
        ("DYNO", "web.1", "restart REDIS_URL"),
    ],
)
def test_what_is_probably_not_meant_is_one_warning_without_the_secret(
    load: Load, variable: str, value: str, words: str
) -> None:
    (warning,) = warnings_about(load(**SETTLED | {variable: value}))
    assert all(word in warning for word in words.split())
    assert "hunter2" not in warning
    assert "\n" not in warning


def test_the_token_of_the_sandbox_is_no_secret_that_could_be_too_short(load: Load) -> None:
    settings = load(**SETTLED | {"BRIDGE_SANDBOX": "1", "TEAMUP_API_TOKEN": "short"})
    assert not any("shorter" in text for text in warnings_about(settings))


def test_a_store_elsewhere_survives_an_empty_disk(load: Load) -> None:
    assert not [*warnings_about(load(**SETTLED, DYNO="web.1", REDIS_URL="redis://cache/0"))]


# The file beside app.py


def _with_file(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    (folder / ".env").write_text(text, encoding="utf-8")
    monkeypatch.setattr(variables, "FILE", folder / ".env")
    for line in text.splitlines():
        # what the file sets in this process is undone with the rest
        name = line.partition("=")[0]
        monkeypatch.setenv(name, os.environ.get(name, ""))
        monkeypatch.delenv(name)


def test_the_file_beside_the_application_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _with_file(monkeypatch, tmp_path, "TEAMUP_API_TOKEN=from-the-file\nCACHE_TTL=60\n")
    settings = config.load()
    assert (settings.token, settings.cache_ttl) == ("from-the-file", 60)


def test_the_environment_comes_before_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _with_file(monkeypatch, tmp_path, "TEAMUP_API_TOKEN=from-the-file\nCACHE_TTL=60\n")
    monkeypatch.setenv("CACHE_TTL", "120")
    assert config.load().cache_ttl == 120


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("TEAMUP_TOKEN=x", "did you mean TEAMUP_API_TOKEN?"),
        ("teamup_base_url=x", "did you mean TEAMUP_BASE_URL?"),
        ("CASHE_TTL=60", "did you mean CACHE_TTL?"),
        ("export CACHE_TLL=60", "did you mean CACHE_TTL?"),
        ("PUBLIC_BASEURL=x", "did you mean PUBLIC_BASE_URL?"),
        ("FEED_SIGNING_KEY_FILE=x", "did you mean FEED_SIGNING_KEYS_FILE?"),
        ("STUDIO_LOGO_FILE=x", "did you mean STUDIO_LOGO?"),
        ("CHANGES_RECEIVER=x", "README.md lists them"),
    ],
)
def test_a_misspelt_variable_of_the_file_is_a_warning_with_the_likely_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str, words: str
) -> None:
    _with_file(monkeypatch, tmp_path, f"TEAMUP_API_TOKEN=a-token\n  {line}\n")
    [warning] = [text for text in warnings_about(config.load()) if ".env" in text]
    name = line.removeprefix("export ").partition("=")[0]
    assert warning == f"{name} is in .env, and is not a setting of the bridge; {words}"


def test_other_programs_variables_in_the_file_are_no_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = [
        "TEAMUP_API_TOKEN=x",
        "COMPOSE_PROJECT_NAME=x",
        "POSTGRES_PORT=1",
        "TZ=UTC",
        "#CACHE_X=1",
    ]
    _with_file(monkeypatch, tmp_path, "\n".join(lines))
    assert config.load().unknown_variables == {}


def test_a_misspelt_variable_of_the_environment_is_no_warning(load: Load) -> None:
    assert not [*warnings_about(load(**SETTLED, CACHE_TLL="60"))]


def test_a_misspelt_variable_is_named_beside_the_setting_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _with_file(monkeypatch, tmp_path, "TEAMUP_TOKEN=canary\n")
    with pytest.raises(ConfigError) as caught:
        config.load()
    assert list(caught.value.problems) == ["TEAMUP_API_TOKEN", "TEAMUP_TOKEN"]
    assert "did you mean TEAMUP_API_TOKEN?" in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_settings_file_that_is_not_utf_8_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    (tmp_path / ".env").write_bytes("# für uns\nTEAMUP_API_TOKEN=canary\n".encode(encoding))
    monkeypatch.setattr(variables, "FILE", tmp_path / ".env")
    with pytest.raises(ConfigError, match=r"\.env: cannot be read; accepted: .*UTF-8"):
        config.load()


def test_every_setting_that_cannot_be_used_is_named_and_not_only_the_first(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load(CACHE_TTL="soon", PORT="x", TEAMUP_BASE_URL="ftp://x", TEAMUP_API_TOKEN="")
    names = ["TEAMUP_API_TOKEN", "TEAMUP_BASE_URL", "CACHE_TTL", "PORT"]
    assert list(caught.value.problems) == names
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == names


def test_a_platforms_redis_is_not_verified_and_an_address_of_ones_own_is_as_it_says(
    load: Load,
) -> None:
    address = "rediss://:pw@cache:6379"
    assert load(REDIS_URL=address).cache_url == address
    assert load(REDIS_URL=address, DYNO="web.1").cache_url == f"{address}?ssl_cert_reqs=none"
    for own in ("?ssl_cert_reqs=required", "?ssl_ca_certs=ca.pem&ssl_cert_reqs=required"):
        assert load(REDIS_URL=f"{address}{own}", DYNO="web.1").cache_url == f"{address}{own}"
    plain = "redis://:pw@cache:6379"
    assert load(REDIS_URL=plain, DYNO="web.1").cache_url == plain
    assert load(CACHE_URL=address, DYNO="web.1").cache_url == address


def test_the_store_is_named_by_the_variable_that_sets_it(load: Load) -> None:
    assert load().store_variable == "CACHE_URL"
    assert load(REDIS_URL="redis://cache").store_variable == "REDIS_URL"
    assert load(CACHE_URL="memory://").store_variable == "CACHE_URL"
