"""Environment variables, one reader a kind of value; what cannot be used says what would be."""

import re
from enum import Enum
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

from environs import Env

from bridge.errors import ConfigError
from bridge.model import Visibility

E = TypeVar("E", bound=Enum)

AUTO_SCHEMES = ("Bearer", "Token", "JWT")
"""The Authorization schemes that are tried when none is set, in this order."""

MODES = ("provider", "customer")
"""The modes that a token may have."""


class Reader:
    """Reads one kind of value each; what cannot be used becomes one line that helps.

    Args:
        besides: variables that are passed over, as if nothing were wrong with them.
    """

    def __init__(self, env: Env, besides: frozenset[str] = frozenset()) -> None:
        self._env = env
        self._besides = besides

    def text(self, name: str) -> str | None:
        if name in self._besides:
            return None
        # An empty value is what a form or a compose file makes of "not set".
        value: str | None = self._env.str(name, default=None)
        try:
            (value or "").encode()
        except UnicodeEncodeError as err:
            raise ConfigError(name, "its value is not UTF-8", "text in UTF-8") from err
        return (value or "").strip() or None

    def required(self, name: str, accepted: str) -> str:
        value = self.header(name, secret=True)
        if value is None and name not in self._besides:
            raise ConfigError(name, "is not set", accepted)
        return value or ""

    def header(self, name: str, *, secret: bool = False) -> str | None:
        """A value that goes into a request header."""
        value = self.text(name)
        if value is not None and not (value.isascii() and value.isprintable() and " " not in value):
            shown = "its value" if secret else repr(value[:80])
            raise ConfigError(
                name,
                f"{shown} holds a blank, a control or a non-ASCII character",
                "printable ASCII",
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

    def interface(self, name: str, default: str) -> str:
        """The IP address of an interface to listen on."""
        value = self.text(name) or default
        written = "127.0.0.1" if value.lower() == "localhost" else value.strip("[]")
        try:
            return str(ip_address(written))
        except ValueError:
            accepted = "an IP address such as 0.0.0.0 or ::, or localhost"
            raise _refused(name, value, accepted) from None

    def web_address(self, name: str, *, bare: bool = False) -> str | None:
        value = self.text(name)
        if value is None:
            return None
        parts = _split(value)
        if (
            parts is None
            or parts.scheme not in ("http", "https")
            or (bare and (parts.query or parts.fragment or "@" in parts.netloc))
        ):
            # An alert's address is a secret of its own; a base address is not.
            shown = _told(value) if bare else "its value"
            raise ConfigError(name, f"{shown} cannot be used", "an http or https address")
        return value.rstrip("/") if bare else value

    def upstream(self, name: str, default: str) -> str:
        value = self.text(name) or default
        parts = _split(value)
        accepted = "an https address, or http on a loopback address"
        if (
            parts is None
            or "@" in parts.netloc
            or parts.query
            or parts.fragment
            or (parts.scheme != "https" and not _plain_loopback(parts))
        ):
            raise ConfigError(name, f"{_told(value)} cannot be used", accepted)
        path = re.sub(r"/{2,}", "/", parts.path).rstrip("/")
        return f"{parts.scheme}://{parts.netloc}{path}"

    def store(self, name: str, fallback: str, default: str) -> tuple[str, str]:
        """The address of the store, and the variable that it is set by, or would be."""
        named = fallback if self.text(fallback) and not self.text(name) else name
        value = self.text(named) or default
        if not re.match(r"memory://$|sqlite:///.+|rediss?://.+", value):
            # It may hold a password.
            scheme = value.split(":", 1)[0] if "://" in value else "value"
            raise ConfigError(
                named,
                f"its {scheme!r} address cannot be used",
                "sqlite:///relative/path, sqlite:////absolute/path, redis://…, rediss://…, memory://",
            )
        return value, named


def _refused(name: str, value: str, accepted: str) -> ConfigError:
    return ConfigError(name, f"{value[:80]!r} cannot be used", accepted)


def _split(value: str) -> SplitResult | None:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return None
    # urlsplit passes over blanks and line breaks
    return parts if parts.hostname and value.isprintable() and " " not in value else None


def _told(address: str) -> str:
    """An address in an error: what stands before an @ may be a password."""
    return "its value" if "@" in address else repr(address[:80])


def _plain_loopback(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    try:
        return parts.scheme == "http" and ip_address(host).is_loopback
    except ValueError:
        return parts.scheme == "http" and host.lower() == "localhost"
