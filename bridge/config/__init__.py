"""The settings: environment variables, read once and validated."""

from bridge.config.loading import SANDBOX_FLAG, has_account, load, use
from bridge.config.settings import (
    STUDIOS_PATH,
    Availability,
    Config,
    ListStyle,
    Logo,
    LogRequests,
    UpstreamPlan,
)
from bridge.config.warnings import warnings_about

__all__ = [
    "SANDBOX_FLAG",
    "STUDIOS_PATH",
    "Availability",
    "Config",
    "ListStyle",
    "LogRequests",
    "Logo",
    "UpstreamPlan",
    "has_account",
    "load",
    "use",
    "warnings_about",
]
