"""The environment, read once and validated. Every default stands here and nowhere else."""

import re
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from environs import Env

from bridge.errors import ConfigError
from bridge.model import Visibility


class Availability(Enum):
    """How much is told about places; the order of the members is from least to most."""

    NONE = "none"
    FULL = "full"
    SPOTS = "spots"

    @property
    def rank(self) -> int:
        """Its place in the order, from 0."""
        return list(Availability).index(self)


class ListStyle(Enum):
    """How several values of one parameter are sent upstream."""

    CSV = "csv"
    REPEAT = "repeat"


class UpstreamPlan(Enum):
    """Which walks serve the feeds."""

    WIDE = "wide"
    NARROW = "narrow"


class LogRequests(Enum):
    """Which requests get a log line of their own."""

    MISSES = "misses"
    ALL = "all"


E = TypeVar("E", bound=Enum)

AUTO_SCHEMES = ("Bearer", "Token", "JWT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings (names and defaults: README, "Configuration").

    Secrets are left out of ``repr``. Times are seconds, sizes bytes, windows whole days.
    """

    token: str = field(repr=False)
    schemes: tuple[str, ...]
    base_url: str
    provider_id: str | None
    request_mode: str | None
    list_style: ListStyle
    requests_per_minute: int
    page_concurrency: int
    plan: UpstreamPlan
    cache_url: str = field(repr=False)
    cache_ttl: int
    stale_while_revalidate: int
    stale_if_error: int
    refresh_ahead: bool
    cache_max_bytes: int
    window_past_days: int
    window_future_days: int
    feed_max_bytes: int
    public_visibility: frozenset[Visibility]
    public_availability: Availability
    shrink_hold: int
    alert_url: str | None = field(repr=False)
    public_base_url: str | None
    signing_keys: tuple[str, ...] = field(repr=False)
    revoked: frozenset[str]
    log_level: str
    log_format: str
    log_requests: LogRequests
    embed_allowed_origins: tuple[str, ...]
    catalog: bool
    trusted_proxies: int
    operator_token: str | None = field(repr=False)
    host: str
    port: int
    workers: int
    sandbox: bool


SANDBOX_FLAG = "BRIDGE_SANDBOX"
"""Set by ``make run`` when it serves the bundled studio; nobody else sets it."""


def load(env: Env | None = None) -> Config:
    """Read the environment, and ``.env`` beside ``app.py`` below it.

    Raises:
        ConfigError: the first value that cannot be used, with what would be accepted.
    """
    if env is None:
        env = Env()
        env.read_env(Path(__file__).parent.parent / ".env", recurse=False)
    read = _Reader(env)
    config = Config(
        token=read.required("TEAMUP_API_TOKEN", "the API token of your TeamUp provider account"),
        schemes=read.schemes("TEAMUP_AUTH_SCHEME"),
        base_url=read.upstream("TEAMUP_BASE_URL", "https://goteamup.com/api/v2"),
        provider_id=read.header("TEAMUP_PROVIDER_ID"),
        request_mode=read.one_of("TEAMUP_REQUEST_MODE", None, ("provider", "customer")),
        list_style=read.member("TEAMUP_LIST_STYLE", ListStyle.CSV),
        requests_per_minute=read.whole("TEAMUP_REQUESTS_PER_MINUTE", 200, least=1),
        page_concurrency=read.whole("TEAMUP_PAGE_CONCURRENCY", 4, least=1, most=32),
        plan=read.member("UPSTREAM_PLAN", UpstreamPlan.WIDE),
        cache_url=read.cache_url("CACHE_URL", "REDIS_URL", "sqlite:///var/bridge.sqlite3"),
        cache_ttl=read.whole("CACHE_TTL", 300, least=1),
        stale_while_revalidate=read.whole("STALE_WHILE_REVALIDATE", 3600),
        stale_if_error=read.whole("STALE_IF_ERROR", 604800),
        refresh_ahead=read.switch("REFRESH_AHEAD", default=True),
        cache_max_bytes=read.whole("CACHE_MAX_BYTES", 64 * 1024 * 1024),
        window_past_days=read.whole("WINDOW_PAST_DAYS", 30, most=365),
        window_future_days=read.whole("WINDOW_FUTURE_DAYS", 90, most=365),
        feed_max_bytes=read.whole("FEED_MAX_BYTES", 1_000_000),
        public_visibility=read.visibilities("PUBLIC_VISIBILITY", frozenset((Visibility.PUBLIC,))),
        public_availability=read.member("PUBLIC_AVAILABILITY", Availability.FULL),
        shrink_hold=read.whole("SHRINK_HOLD", 21600),
        alert_url=read.web_address("ALERT_URL"),
        public_base_url=read.web_address("PUBLIC_BASE_URL", bare=True),
        signing_keys=read.values("FEED_SIGNING_KEYS"),
        revoked=frozenset(read.values("FEED_REVOKED")),
        log_level=str(
            read.one_of("LOG_LEVEL", "info", ("debug", "info", "warning", "error", "critical"))
        ),
        log_format=str(read.one_of("LOG_FORMAT", "json", ("json", "console"))),
        log_requests=read.member("LOG_REQUESTS", LogRequests.MISSES),
        embed_allowed_origins=read.origins("EMBED_ALLOWED_ORIGINS", ("*",)),
        catalog=read.switch("CATALOG", default=True),
        trusted_proxies=read.whole("TRUSTED_PROXIES", 0, most=16),
        operator_token=read.text("OPERATOR_TOKEN"),
        host=read.text("HOST") or "0.0.0.0",  # noqa: S104 - a platform's router must reach it
        port=read.whole("PORT", 8000, most=65535),
        workers=read.whole("WEB_CONCURRENCY", 1, least=1, most=256),
        sandbox=read.text(SANDBOX_FLAG) is not None,
    )
    if config.cache_url == "memory://" and config.workers > 1:
        raise ConfigError(
            "CACHE_URL",
            f"memory:// serves one process only, and WEB_CONCURRENCY is {config.workers}",
            "WEB_CONCURRENCY=1, or a store that processes share",
        )
    return config


class _Reader:
    """Reads one kind of value each; what cannot be used becomes one line that helps."""

    def __init__(self, env: Env) -> None:
        self._env = env

    def text(self, name: str) -> str | None:
        # An empty value is what a form or a compose file makes of "not set".
        value: str | None = self._env.str(name, default=None)
        return (value or "").strip() or None

    def required(self, name: str, accepted: str) -> str:
        value = self.header(name)
        if value is None:
            raise ConfigError(name, "is not set", accepted)
        return value

    def header(self, name: str) -> str | None:
        """A value that goes into a request header; it is never shown."""
        value = self.text(name)
        if value is not None and not (value.isascii() and value.isprintable() and " " not in value):
            raise ConfigError(
                name, "holds a blank, a control or a non-ASCII character", "printable ASCII"
            )
        return value

    def whole(self, name: str, default: int, *, least: int = 0, most: int = 10**12) -> int:
        value = self.text(name)
        if value is None:
            return default
        if not re.fullmatch(r"[0-9]{1,15}", value) or not least <= int(value) <= most:
            upper = f" to {most}" if most < 10**12 else " or more"
            raise _refused(name, value, f"a whole number, {least}{upper}")
        return int(value)

    def one_of(self, name: str, default: str | None, accepted: tuple[str, ...]) -> str | None:
        value = self.text(name)
        if value is None:
            return default
        if value.lower() not in accepted:
            raise _refused(name, value, ", ".join(accepted))
        return value.lower()

    def member(self, name: str, default: E) -> E:
        accepted = {str(one.value): one for one in type(default)}
        chosen = self.one_of(name, str(default.value), tuple(accepted))
        return accepted[str(chosen)]

    def switch(self, name: str, *, default: bool) -> bool:
        words = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
        value = self.text(name)
        if value is None:
            return default
        if value.lower() not in words:
            raise _refused(name, value, "on, off")
        return words[value.lower()]

    def schemes(self, name: str) -> tuple[str, ...]:
        accepted = {scheme.lower(): (scheme,) for scheme in AUTO_SCHEMES} | {"auto": AUTO_SCHEMES}
        value = self.text(name) or "auto"
        if value.lower() not in accepted:
            raise _refused(name, value, f"auto, {', '.join(AUTO_SCHEMES)}")
        return accepted[value.lower()]

    def values(self, name: str) -> tuple[str, ...]:
        return tuple(item.strip() for item in (self.text(name) or "").split(",") if item.strip())

    def visibilities(self, name: str, default: frozenset[Visibility]) -> frozenset[Visibility]:
        known = {one.value: one for one in Visibility}
        values = self.values(name)
        for value in values:
            if value not in known:
                raise _refused(name, value, ", ".join(known))
        return frozenset(known[value] for value in values) or default

    def origins(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        values = self.values(name)
        for value in values:
            if not re.fullmatch(
                r"\*|'none'|'self'|https?://(\*\.)?[A-Za-z0-9.\-]+(:\d{1,5})?", value
            ):
                raise _refused(name, value, "*, or origins such as https://www.example.org")
        return values or default

    def web_address(self, name: str, *, bare: bool = False) -> str | None:
        value = self.text(name)
        if value is None:
            return None
        parts = _split(value)
        if (
            parts is None
            or parts.scheme not in ("http", "https")
            or (bare and (parts.query or parts.fragment or parts.username))
        ):
            # An alert's address is a secret of its own; a base address is not.
            shown = repr(value) if bare else "its value"
            raise ConfigError(name, f"{shown} cannot be used", "an http or https address")
        return value.rstrip("/") if bare else value

    def upstream(self, name: str, default: str) -> str:
        value = self.text(name) or default
        parts = _split(value)
        accepted = "an https address, or http on a loopback address"
        if parts is None or parts.username or parts.password or parts.query or parts.fragment:
            raise ConfigError(name, "its value cannot be used", accepted)
        if parts.scheme != "https" and not (parts.scheme == "http" and _loopback(parts.hostname)):
            raise _refused(name, value, accepted)
        path = re.sub(r"/{2,}", "/", parts.path).rstrip("/")
        return f"{parts.scheme}://{parts.netloc}{path}"

    def cache_url(self, name: str, fallback: str, default: str) -> str:
        named = name if self.text(name) else fallback
        value = self.text(named) or default
        if not re.match(r"memory://$|sqlite:///.+|rediss?://.+", value):
            # It may hold a password.
            scheme = value.split(":", 1)[0] if "://" in value else "value"
            raise ConfigError(
                named,
                f"its {scheme!r} address cannot be used",
                "sqlite:///relative/path, sqlite:////absolute/path, redis://…, rediss://…, memory://",
            )
        return value


def _refused(name: str, value: str, accepted: str) -> ConfigError:
    return ConfigError(name, f"{value[:80]!r} cannot be used", accepted)


def _split(value: str) -> Any:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.hostname else None


def _loopback(host: str | None) -> bool:
    if host is None:
        return False
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
