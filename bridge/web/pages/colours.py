"""Colours that can be read: WCAG's contrast, and an accent brought up to it."""

import colorsys
import re
from dataclasses import dataclass

from bridge.errors import ParameterError
from bridge.filters import shown

LIGHT, DARK = "#fbfaf7", "#171614"
"""The grounds of the two themes, as in ``site.css``."""

# A little over WCAG's 4.5, since a browser rounds.
_ENOUGH = 4.6
_STEPS = 200


@dataclass(frozen=True, slots=True)
class Accent:
    """An accent colour in one theme, all ``#rrggbb``.

    Attributes:
        ink: on the theme's ground, as text.
        fill: as a ground of its own.
        on_fill: text on that.
    """

    ink: str
    fill: str
    on_fill: str


def accent(name: str, text: str) -> str:
    """The colour that a parameter gives, as ``rrggbb``.

    Raises:
        ParameterError: it is none.
    """
    digits = text.removeprefix("#").lower()
    if not re.fullmatch(r"[0-9a-f]{3}|[0-9a-f]{6}", digits, re.ASCII):
        raise ParameterError(
            name, f"{name}: {shown(text)} is no colour; accepted: three or six hex digits: 0b5d57"
        )
    return digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)


def themed(digits: str, ground: str) -> Accent:
    """The accent on *ground*: as near to what was asked for as can be read."""
    fill = f"#{digits}"
    on_fill = max(("#ffffff", "#000000"), key=lambda one: contrast(one, fill))
    return Accent(readable(fill, ground), fill, on_fill)


def readable(colour: str, ground: str) -> str:
    """*colour*, made lighter or darker until text in it can be read on *ground*."""
    if contrast(colour, ground) >= _ENOUGH:
        return colour
    hue, lightness, saturation = colorsys.rgb_to_hls(*_channels(colour))
    goal = 0.0 if _luminance(ground) > 0.18 else 1.0
    for step in range(1, _STEPS):
        nearer = lightness + (goal - lightness) * step / _STEPS
        one = _hex(colorsys.hls_to_rgb(hue, nearer, saturation))
        if contrast(one, ground) >= _ENOUGH:
            return one
    return "#000000" if goal == 0.0 else "#ffffff"


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in _channels(colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _channels(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def _hex(channels: tuple[float, float, float]) -> str:
    return "#" + "".join(f"{round(value * 255):02x}" for value in channels)
