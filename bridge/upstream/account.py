"""The account in whose name upstream is asked."""

import hashlib
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bridge.config import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Where to ask, and as whom.

    Attributes:
        token: secret; in no ``repr``.
        schemes: Authorization schemes to try on a 401, in this order, until one has worked.
        base_url: without a trailing slash.
        provider_id: sent as ``TeamUp-Provider-ID``.
        request_mode: sent as ``Teamup-Request-Mode``.
    """

    token: str = field(repr=False)
    schemes: tuple[str, ...]
    base_url: str
    provider_id: str | None = None
    request_mode: str | None = None

    @classmethod
    def of(cls, config: Config) -> "Account":
        """The account that the settings name."""
        return cls(
            token=config.token,
            schemes=config.schemes,
            base_url=config.base_url,
            provider_id=config.provider_id,
            request_mode=config.request_mode,
        )

    @property
    def name(self) -> str:
        """Starts every key in the store.

        The token is no part of it: a token that is replaced must find the history of the one
        before, and one that suddenly sees less must be noticed.
        """
        who = "\n".join((self.base_url, self.provider_id or "", self.request_mode or ""))
        return hashlib.sha256(who.encode()).hexdigest()[:12]

    @property
    def token_mark(self) -> str:
        """Tells one token from another without telling the token."""
        return hashlib.sha256(f"{self.name}\n{self.token}".encode()).hexdigest()[:8]

    @property
    def origin(self) -> str:
        """Scheme and host of the upstream, against which its relative links are resolved."""
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{parts.netloc}"
