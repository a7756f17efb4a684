"""The TeamUp account that the bridge uses: base URL, token and request headers."""

import hashlib
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bridge.config import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The address of the API and the credentials.

    Attributes:
        token: the secret token; excluded from ``repr``.
        schemes: the Authorization schemes to try in this order on a 401, until one has worked;
            empty if requests are sent without a token.
        base_url: the base URL without a trailing slash.
        provider_id: the value of the ``TeamUp-Provider-ID`` header, or None.
        request_mode: the value of the ``Teamup-Request-Mode`` header, or None.
        studio: the slug of the studio; empty if the bridge serves only one.
    """

    token: str = field(repr=False)
    schemes: tuple[str, ...]
    base_url: str
    provider_id: str | None = None
    request_mode: str | None = None
    studio: str = ""

    @classmethod
    def of(cls, config: Config) -> "Account":
        """The account of the settings."""
        return cls(
            token=config.token,
            schemes=config.schemes,
            base_url=config.base_url,
            provider_id=config.provider_id,
            request_mode=config.request_mode,
            studio=config.slug,
        )

    @property
    def anonymous(self) -> bool:
        """Whether requests are sent without a token, for what everybody may see."""
        return not self.schemes

    @property
    def name(self) -> str:
        """The prefix of the account's keys in the store.

        It does not depend on the token: a new token continues the history of the old one, and if
        it has access to fewer sessions, that is detected. It depends on the studio, because
        several tokens may belong to one provider, or name none.
        """
        parts = (self.base_url, self.provider_id or "", self.request_mode or "")
        text = "\n".join((*parts, self.studio) if self.studio else parts)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def token_fingerprint(self) -> str:
        """A hash that identifies the token without revealing it."""
        return hashlib.sha256(f"{self.name}\n{self.token}".encode()).hexdigest()[:8]

    @property
    def origin(self) -> str:
        """Scheme and host of the base URL; relative links are resolved against it."""
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{parts.netloc}"
