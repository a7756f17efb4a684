"""The settings of the bridge, and of each studio if there are several."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from bridge.languages import Language
from bridge.model import SourceName, Visibility

STUDIOS_PATH = "/s/"
"""The path below which each of several studios has its slug."""


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


@dataclass(frozen=True, slots=True)
class Logo:
    """The image of a studio, read once: its file may be gone when a page needs it.

    Attributes:
        suffix: ``.svg`` or ``.png``.
    """

    suffix: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings; :mod:`bridge.config.loading` has their variables and defaults.

    Secrets are left out of ``repr``. Times are seconds, sizes bytes, windows whole days.

    Attributes:
        slug: of the studio in the file ``STUDIOS``; empty without one.
        hosts: the host names at which this studio is served.
        studios: the studios in the file; the other settings are those of the server, and the
            defaults of the studios.
    """

    slug: str = ""
    hosts: tuple[str, ...] = ()
    studios: "tuple[Config, ...]" = ()
    token: str = field(repr=False)
    schemes: tuple[str, ...]
    sources: frozenset[SourceName]
    base_url: str
    provider_id: str | None
    request_mode: str | None
    list_style: ListStyle
    requests_per_minute: int
    page_concurrency: int
    walk_max_rows: int
    walk_max_bytes: int
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
    public_horizon_days: int | None
    public_visibility: frozenset[Visibility]
    public_availability: Availability
    shrink_hold: int
    alert_url: str | None = field(repr=False)
    changes_url: str | None = field(repr=False)
    changes_key: str | None = field(repr=False)
    public_base_url: str | None
    signing_keys: tuple[str, ...] = field(repr=False)
    revoked: frozenset[str]
    log_level: str
    log_format: str
    log_requests: LogRequests
    embed_allowed_origins: tuple[str, ...]
    catalog: bool
    studio_name: str
    studio_url: str | None
    studio_logo: Logo | None
    studio_color: str | None
    studio_timezone: str | None
    feed_language: Language
    trusted_proxies: int
    operator_token: str | None = field(repr=False)
    host: str
    port: int
    workers: int
    sandbox: bool
    ephemeral_disk: bool
    unknown_variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """The prefix of the studio's paths at hosts that are not its own; empty if it is alone."""
        return STUDIOS_PATH + self.slug if self.slug else ""
