"""The environment, read once and validated. Every default stands here and nowhere else."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from environs import Env

from bridge.environment import MODES, Reader
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
    store_variable: str
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
    ephemeral_disk: bool

    @property
    def warnings(self) -> tuple[str, ...]:
        """What works, and is probably not meant: one sentence each."""
        return tuple(_warnings(self))


SANDBOX_FLAG = "BRIDGE_SANDBOX"
"""Set by ``make run`` when it serves the bundled studio; nobody else sets it."""


def environment() -> Env:
    """The environment, and ``.env`` beside ``app.py`` below it.

    Raises:
        ConfigError: ``.env`` cannot be read.
    """
    env = Env()
    try:
        env.read_env(Path(__file__).parent.parent / ".env", recurse=False)
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(".env", "cannot be read", "a text file in UTF-8") from err
    return env


def problems(env: Env | None = None) -> tuple[ConfigError, ...]:
    """Each setting that cannot be used, where :func:`load` stops at the first."""
    found: dict[str, ConfigError] = {}
    while True:
        try:
            load(env, besides=frozenset(found))
        except ConfigError as err:
            if err.variable in found:
                break
            found[err.variable] = err
        else:
            break
    return tuple(found.values())


def load(env: Env | None = None, *, besides: frozenset[str] = frozenset()) -> Config:
    """Read the settings.

    Args:
        besides: variables that are passed over (see :func:`problems`).

    Raises:
        ConfigError: the first value that cannot be used, with what would be accepted.
    """
    read = Reader(env or environment(), besides)
    token = read.required("TEAMUP_API_TOKEN", "the API token of your TeamUp provider account")
    # Heroku's dynos, and those that follow its manner, begin each start with an empty disk.
    dyno = read.text("DYNO") is not None
    cache_url, store_variable = read.store("CACHE_URL", "REDIS_URL", "sqlite:///var/bridge.sqlite3")
    if dyno and store_variable == "REDIS_URL":
        cache_url = _unverified(cache_url)
    config = Config(
        token=token,
        schemes=read.schemes("TEAMUP_AUTH_SCHEME"),
        base_url=read.upstream("TEAMUP_BASE_URL", "https://goteamup.com/api/v2"),
        provider_id=read.header("TEAMUP_PROVIDER_ID"),
        request_mode=read.one_of("TEAMUP_REQUEST_MODE", None, MODES),
        list_style=read.member("TEAMUP_LIST_STYLE", ListStyle.CSV),
        requests_per_minute=read.whole("TEAMUP_REQUESTS_PER_MINUTE", 200, least=1),
        page_concurrency=read.whole("TEAMUP_PAGE_CONCURRENCY", 4, least=1, most=32),
        plan=read.member("UPSTREAM_PLAN", UpstreamPlan.WIDE),
        cache_url=cache_url,
        store_variable=store_variable,
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
        host=read.interface("HOST", "0.0.0.0"),  # noqa: S104 - a platform's router must reach it
        port=read.whole("PORT", 8000, most=65535),
        workers=read.whole("WEB_CONCURRENCY", 1, least=1, most=256),
        sandbox=read.text(SANDBOX_FLAG) is not None,
        ephemeral_disk=dyno,
    )
    if config.cache_url == "memory://" and config.workers > 1:
        raise ConfigError(
            "CACHE_URL",
            f"memory:// serves one process only, and WEB_CONCURRENCY is {config.workers}",
            "WEB_CONCURRENCY=1, or a store that processes share",
        )
    return config


_CERTIFICATES = "ssl_cert_reqs="


def _unverified(address: str) -> str:
    """A platform's own address of its Redis, whose certificate is signed by itself.

    Heroku's is, so that clients cannot verify it. Nobody can write that into the address: the
    platform sets the variable, and sets it anew whenever it changes the password.
    """
    if not address.startswith("rediss:") or _CERTIFICATES in address:
        return address
    return f"{address}{'&' if '?' in address else '?'}{_CERTIFICATES}none"


_VENDORS_LIMIT = 250
_SHORT = 16


def _warnings(config: Config) -> Iterator[str]:
    if config.ephemeral_disk and config.cache_url.startswith("sqlite:"):
        yield (
            "the disk of this machine is emptied at each restart, and the store with it: the"
            " history of the sessions, and cover in an outage, end with each restart; set REDIS_URL"
        )
    if config.requests_per_minute > _VENDORS_LIMIT:
        yield f"TEAMUP_REQUESTS_PER_MINUTE is over TeamUp's own limit of {_VENDORS_LIMIT}"
    secrets = {
        # the sandbox's is no secret
        "TEAMUP_API_TOKEN": () if config.sandbox else (config.token,),
        "FEED_SIGNING_KEYS": config.signing_keys,
        "OPERATOR_TOKEN": (config.operator_token,) if config.operator_token else (),
    }
    for name, values in secrets.items():
        if any(len(value) < _SHORT for value in values):
            yield f"{name} is shorter than {_SHORT} characters, which can be guessed"
    if config.sandbox:
        yield "this is the bundled sandbox studio; set TEAMUP_API_TOKEN for your own"
    if config.public_base_url is None:
        yield "PUBLIC_BASE_URL is not set, so feeds do not carry their own address"
