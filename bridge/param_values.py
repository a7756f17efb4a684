"""Query parameters: their parsers and schemas; an error names the parameter and what is accepted.

ids = numbers("Ids of venues.", most=MAX_ID)
ids.parse("venues", ["12,13"])  # (12, 13)
ids.schema                      # {"type": "integer", "minimum": 0, "maximum": …}
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from bridge.errors import ParameterError

MAX_VALUES = 100
"""The most values that one parameter may have."""

Parse = Callable[[str, Sequence[str]], Any]
"""Parses the values of the parameter with a name; raises ParameterError."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter.

    Attributes:
        meaning: what it does, in plain sentences, for the description of the API.
        parse: parses its values.
        schema: the JSON Schema of one value.
        several: whether it takes several values, separated by commas or repeated.
    """

    meaning: str
    parse: Parse
    schema: Mapping[str, Any]
    several: bool = False


def without_html_entities(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The names and values of a query in which ``&`` may be written as ``&amp;``.

    Addresses that were copied from the source of an HTML page are.
    """
    return [(name.removeprefix("amp;"), value) for name, value in pairs]


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


def number(name: str, text: str, *, most: int) -> int:
    """Parse a whole number from 0 to *most*.

    Raises:
        ParameterError: *text* is anything else.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 30 and int(text) <= most):
        raise ParameterError.unusable(name, text, f"a whole number from 0 to {most}")
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
    raise ParameterError.unusable(name, text, names)


def whole_number(meaning: str, *, most: int) -> Parameter:
    """A parameter with one whole number from 0 to *most*."""
    return Parameter(
        meaning,
        lambda name, texts: number(name, single(name, texts), most=most),
        _number_schema(most),
    )


def numbers(meaning: str, *, most: int) -> Parameter:
    """A parameter with several whole numbers from 0 to *most*; it gives a tuple."""
    return Parameter(
        meaning,
        lambda name, texts: tuple(number(name, item, most=most) for item in items(name, texts)),
        _number_schema(most),
        several=True,
    )


def one_of(meaning: str, accepted: type[Enum]) -> Parameter:
    """A parameter with one of the values of *accepted*; it gives the member."""
    return Parameter(
        meaning,
        lambda name, texts: choice(name, single(name, texts), accepted),
        _enum_schema(accepted),
    )


def some_of(meaning: str, accepted: type[Enum]) -> Parameter:
    """A parameter with several of the values of *accepted*; it gives a tuple of members."""
    return Parameter(
        meaning,
        lambda name, texts: tuple(choice(name, item, accepted) for item in items(name, texts)),
        _enum_schema(accepted),
        several=True,
    )


def _number_schema(most: int) -> Mapping[str, Any]:
    return {"type": "integer", "minimum": 0, "maximum": most}


def _enum_schema(accepted: type[Enum]) -> Mapping[str, Any]:
    return {"type": "string", "enum": [member.value for member in accepted]}
