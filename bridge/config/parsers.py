"""Parsers for the values of environment variables.

A parser takes the text of a value, without surrounding blanks, and returns what it stands for. It
raises :class:`SettingError` with what is wrong and what would be accepted.
"""

import re
from collections.abc import Callable, Mapping
from enum import Enum
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit
from xml.parsers import expat

from bridge import times
from bridge.config.settings import Logo
from bridge.languages import Language, available, translated
from bridge.param_values import hex_digits

T = TypeVar("T")
E = TypeVar("E", bound=Enum)

AUTO_SCHEMES = ("Bearer", "Token", "JWT")
"""The Authorization schemes that are tried when none is set, in this order."""

MODES = ("provider", "customer")
"""The modes that a token may have."""

MAX_IMAGE_BYTES = 100_000
"""The largest image that a setting may name."""

MAX_SECRET_BYTES = 65_536
"""The largest file of a secret."""

_ACCEPTED_IMAGES = f"an .svg or .png file of at most {MAX_IMAGE_BYTES // 1000} kB"
_LONGEST_TITLE = 100
_HOME = Path(__file__).parent.parent.parent

_SCHEMES: Mapping[str, tuple[str, ...]] = {
    **{scheme.lower(): (scheme,) for scheme in AUTO_SCHEMES},
    "auto": AUTO_SCHEMES,
    "none": (),
}


class SettingError(Exception):
    """A value cannot be used; the text says what is wrong, and what is accepted."""


def header(text: str) -> str:
    """A value that is sent in a request header."""
    return _header(text, repr(text[:80]))


def secret_header(text: str) -> str:
    """A secret that is sent in a request header; no error quotes it."""
    return _header(text, "its value")


def content_of(name: str, parse: Callable[[str], T], *, given: bool) -> Callable[[str], T]:
    """The value of the secret *name* in a file; a relative path is below the directory of app.py.

    Blanks and line breaks at its ends are removed, as from a variable. No error quotes the content.

    Args:
        parse: the parser of the value.
        given: whether the secret has a value beside the file.
    """
    accepted = f"a text file in UTF-8 with the value of {name}"

    def parse_file(path: str) -> T:
        quoted = repr(path[:200])
        if given:
            raise _refused(f"is set, and {name} as well", "one of the two")
        try:
            text = read_file(path, MAX_SECRET_BYTES, accepted).decode("utf-8").strip()
        except UnicodeDecodeError:
            # without the cause, which contains the content
            raise _refused(f"{quoted} is not UTF-8", accepted) from None
        if not text:
            raise _refused(f"{quoted} is empty", accepted)
        try:
            return parse(text)
        except SettingError as err:
            raise SettingError(f"{quoted}: {err}") from err

    return parse_file


def read_file(text: str, most: int, accepted: str) -> bytes:
    """The content of the file at the path *text*; a relative one is below the directory of app.py.

    It has to be a regular file: others, such as pipes, could block, and are read once only.

    Args:
        most: the maximum size, in bytes.
        accepted: what the error says is accepted.

    Raises:
        SettingError: it cannot be read.
    """
    path = _HOME / text
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is not a regular file")
        with path.open("rb") as file:
            content = file.read(most + 1)
        if len(content) > most:
            raise ValueError(f"it has more than {most} bytes")
    except (OSError, ValueError) as err:
        reason = getattr(err, "strerror", None) or err
        raise _refused(f"{text[:200]!r} cannot be read: {reason}", accepted) from err
    return content


def whole(*, least: int = 0, most: int = 10**12) -> Callable[[str], int]:
    """Whole numbers from *least* to *most*."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,15}", text) or not least <= int(text) <= most:
            upper = f" to {most}" if most < 10**12 else " or more"
            raise _unusable(text, f"a whole number, {least}{upper}")
        return int(text)

    return parse


def choice(accepted: Mapping[str, T], names: str = "") -> Callable[[str], T]:
    """One of the *accepted* words, in any case.

    Args:
        names: how an error lists them, where that is not by their keys.
    """

    def parse(text: str) -> T:
        if text.lower() not in accepted:
            raise _unusable(text, names or ", ".join(accepted))
        return accepted[text.lower()]

    return parse


def word(*accepted: str) -> Callable[[str], str]:
    """One of the *accepted* words, in any case."""
    return choice({value: value for value in accepted})


def member(kind: type[E]) -> Callable[[str], E]:
    """A member of an enumeration, by its value."""
    return choice({str(value.value): value for value in kind})


switch = choice(
    {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}, "on, off"
)
schemes = choice(_SCHEMES, f"auto, {', '.join(AUTO_SCHEMES)}, none")


def values(text: str) -> tuple[str, ...]:
    """Values separated by commas."""
    return tuple(value.strip() for value in text.split(",") if value.strip())


def lines(text: str) -> tuple[str, ...]:
    """Values separated by commas or line breaks."""
    return values(text.replace("\n", ","))


def feed_ids(text: str) -> tuple[str, ...]:
    """Ids of private feeds, separated by commas.

    The error quotes no value: it may be the address of a private feed, which is a secret.
    """
    ids = tuple(value.lower() for value in values(text) or (text,))
    if not all(re.fullmatch(r"[0-9a-f]{16}", value) for value in ids):
        accepted = "ids of 16 hexadecimal digits, separated by commas, as sign and revoke print"
        raise _refused("has a value that is not the id of a private feed", accepted)
    return ids


def members(kind: type[E]) -> Callable[[str], frozenset[E]]:
    """Members of an enumeration, separated by commas."""
    parse_one = member(kind)

    def parse(text: str) -> frozenset[E]:
        # of commas alone nothing would be left, which is no sensible value of any setting
        return frozenset(parse_one(value) for value in values(text) or (text,))

    return parse


def origins(text: str) -> tuple[str, ...]:
    """Sources of the Content-Security-Policy, separated by commas."""
    for value in values(text):
        if not re.fullmatch(
            r"\*|'none'|'self'|https?://(\*\.)?[A-Za-z0-9.\-]+(:[0-9]{1,5})?", value
        ):
            raise _unusable(value, "*, or origins such as https://www.example.org")
    return values(text)


def zone_name(text: str) -> str:
    """The name of an IANA time zone."""
    if times.zone(text) is None:
        raise _unusable(text, "the name of a time zone such as Europe/London")
    return text


def language(text: str) -> Language:
    """The tag of a language that has a translation, with or without a region."""
    found = translated(text)
    if found is None:
        raise _unusable(text, f"{', '.join(available())}, or one with a region such as en-US")
    return found


def interface(text: str) -> str:
    """The IP address of a network interface to listen on."""
    address = "127.0.0.1" if text.lower() == "localhost" else text.strip("[]")
    try:
        return str(ip_address(address))
    except ValueError:
        accepted = "an IP address such as 0.0.0.0 or ::, or localhost"
        raise _unusable(text, accepted) from None


def webhook(text: str) -> str:
    """An http or https address, which is a secret."""
    if not _is_web(_split(text)):
        raise _refused("its value cannot be used", "an http or https address")
    return text


def link(text: str) -> str:
    """An http or https address for a link on pages."""
    parts = _split(text)
    if not _is_web(parts) or parts is None or "@" in parts.netloc:
        raise _refused(f"{_quoted(text)} cannot be used", "an http or https address")
    return text


def base_url(text: str) -> str:
    """An http or https address without query, fragment and credentials, and no slash at its end.

    Only ASCII, because responses have it in a header.
    """
    parts = _split(text)
    if not _is_web(parts) or parts is None or parts.query or parts.fragment or "@" in parts.netloc:
        raise _refused(f"{_quoted(text)} cannot be used", "an http or https address")
    if not text.isascii():
        accepted = "an address in ASCII: a host in Punycode (xn--…), a path with percent-encoding"
        raise _refused(f"{_quoted(text)} has a non-ASCII character", accepted)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def title(text: str) -> str:
    """A name of one line, for the headings of pages."""
    if not text.isprintable() or len(text) > _LONGEST_TITLE:
        raise _unusable(text, f"one line of at most {_LONGEST_TITLE} characters")
    return text


def colour(text: str) -> str:
    """A colour as ``rrggbb``."""
    digits = hex_digits(text)
    if digits is None:
        raise _unusable(text, "three or six hex digits such as 0b5d57")
    return digits


def logo(text: str) -> Logo:
    """The file of an image, SVG or PNG; a relative path is below the directory of app.py."""
    suffix = Path(text).suffix
    test = _IMAGE_TESTS.get(suffix)
    if test is None:
        raise _unusable(text, _ACCEPTED_IMAGES)
    content = read_file(text, MAX_IMAGE_BYTES, _ACCEPTED_IMAGES)
    if not test(content):
        raise _refused(f"{text[:80]!r} is not a valid {suffix} file", _ACCEPTED_IMAGES)
    return Logo(suffix, content)


def _is_svg(content: bytes) -> bool:
    """Whether *content* is a well-formed XML document whose root is an ``svg`` (SVG 2, 5.1)."""
    elements: list[str] = []
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = lambda name, attributes: elements.append(name)
    try:
        parser.Parse(content, True)
    except expat.ExpatError:
        return False
    return elements[0] == "http://www.w3.org/2000/svg svg"


_IMAGE_TESTS: Mapping[str, Callable[[bytes], bool]] = {
    ".svg": _is_svg,
    ".png": lambda content: content.startswith(b"\x89PNG\r\n\x1a\n"),
}


def upstream(text: str) -> str:
    """The base address of the API, with doubled slashes in its path removed."""
    parts = _split(text)
    if (
        parts is None
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
        or (parts.scheme != "https" and not _is_plain_loopback(parts))
    ):
        accepted = "an https address, or http on a loopback address"
        raise _refused(f"{_quoted(text)} cannot be used", accepted)
    path = re.sub(r"/{2,}", "/", parts.path).rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}"


def store(text: str) -> str:
    """The address of a store, which may hold a password."""
    if not re.match(r"memory://$|sqlite:///.+|rediss?://.+", text):
        # anything else before the colon may be a part of a secret
        named = re.match(r"([a-z]{1,12}):", text)
        scheme = named[1] if named else "value"
        raise _refused(
            f"its {scheme!r} address cannot be used",
            "sqlite:///relative/path, sqlite:////absolute/path, redis://…, rediss://…, memory://",
        )
    return text


def _refused(problem: str, accepted: str) -> SettingError:
    return SettingError(f"{problem}; accepted: {accepted}")


def _unusable(text: str, accepted: str) -> SettingError:
    return _refused(f"{text[:80]!r} cannot be used", accepted)


def _header(text: str, quoted: str) -> str:
    if not (text.isascii() and text.isprintable() and " " not in text):
        problem = f"{quoted} contains a blank, a control or a non-ASCII character"
        raise _refused(problem, "printable ASCII")
    return text


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    # urlsplit ignores blanks and line breaks
    return parts if parts.hostname and text.isprintable() and " " not in text else None


def _is_web(parts: SplitResult | None) -> bool:
    return parts is not None and parts.scheme in ("http", "https")


def _quoted(address: str) -> str:
    """An address in an error: what stands before an @ may be a password."""
    return "its value" if "@" in address else repr(address[:80])


def _is_plain_loopback(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    try:
        return parts.scheme == "http" and ip_address(host).is_loopback
    except ValueError:
        return parts.scheme == "http" and host.lower() == "localhost"
