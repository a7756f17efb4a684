"""Parsing of the values of query parameters; an error names the parameter and what is accepted."""

import re
from collections.abc import Sequence
from enum import Enum
from typing import Any

from bridge.errors import ParameterError

MAX_VALUES = 100


def items(name: str, texts: Sequence[str]) -> list[str]:
    """The values of a parameter that takes several, separated by commas or repeated.

    Raises:
        ParameterError: a value is empty, or there are too many.
    """
    values = [value.strip() for text in texts for value in text.split(",")]
    if not all(values):
        raise ParameterError(name, f"{name}: a value is empty; give a value or leave it out")
    if len(values) > MAX_VALUES:
        raise ParameterError(
            name, f"{name}: {len(values)} values are too many; accepted: at most {MAX_VALUES}"
        )
    return values


def quoted(text: str) -> str:
    """*text* from a client, quoted and truncated for an error message."""
    return ascii(text if len(text) <= 40 else text[:40] + "…")


def number(name: str, text: str, *, most: int) -> int:
    """Parse a whole number from 0 to *most*.

    Raises:
        ParameterError: *text* is anything else.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 30 and int(text) <= most):
        raise ParameterError(
            name,
            f"{name}: {quoted(text)} cannot be used; accepted: a whole number from 0 to {most}",
        )
    return int(text)


def hex_digits(text: str) -> str | None:
    """The six hex digits of a colour such as ``#0B5D57`` or ``0bd``; None if it is none."""
    digits = text.removeprefix("#").lower()
    if not re.fullmatch(r"[0-9a-f]{3}|[0-9a-f]{6}", digits, re.ASCII):
        return None
    return digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)


def single(name: str, texts: Sequence[str]) -> str:
    """The value of a parameter that takes exactly one.

    Raises:
        ParameterError: there is no value, or there are several different ones.
    """
    values = {text.strip() for text in texts}
    if len(values) != 1 or values == {""}:
        raise ParameterError(name, f"{name}: give exactly one value")
    return values.pop()


def choice(name: str, text: str, accepted: type[Enum]) -> Any:
    """The member of *accepted* whose value is *text*.

    Raises:
        ParameterError: there is no such member.
    """
    for member in accepted:
        if member.value == text:
            return member
    names = ", ".join(str(member.value) for member in accepted)
    raise ParameterError(name, f"{name}: {quoted(text)} cannot be used; accepted: {names}")
