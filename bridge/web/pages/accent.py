"""Accent colours, adjusted to a readable contrast (WCAG)."""

import colorsys
from dataclasses import dataclass

from bridge.errors import ParameterError
from bridge.param_values import hex_digits

LIGHT, DARK = "#fbfaf7", "#171614"
"""The background colours of the two themes, as in ``site.css``."""

# WCAG requires 4.5; a little more, because browsers round colours.
_MIN_CONTRAST = 4.6
_STEPS = 200


@dataclass(frozen=True, slots=True)
class Accent:
    """An accent colour in one theme, all ``#rrggbb``.

    Attributes:
        ink: as text on the theme's background.
        fill: as a background.
        on_fill: text on *fill*.
    """

    ink: str
    fill: str
    on_fill: str


def accent_colour(name: str, text: str) -> str:
    """Parse the value of a query parameter as a colour, ``rrggbb``.

    Raises:
        ParameterError: *text* is not a colour.
    """
    digits = hex_digits(text)
    if digits is None:
        raise ParameterError.unusable(name, text, "three or six hex digits such as 0b5d57")
    return digits


def themed(digits: str, background: str) -> Accent:
    """The accent for a theme: the readable colour nearest to *digits*."""
    fill = f"#{digits}"
    on_fill = max(("#ffffff", "#000000"), key=lambda text: contrast(text, fill))
    return Accent(readable(fill, background), fill, on_fill)


def readable(colour: str, background: str) -> str:
    """*colour*, made lighter or darker until it has enough contrast to *background*."""
    if contrast(colour, background) >= _MIN_CONTRAST:
        return colour
    hue, lightness, saturation = colorsys.rgb_to_hls(*_channels(colour))
    goal = 0.0 if _luminance(background) > 0.18 else 1.0
    for step in range(1, _STEPS):
        adjusted = lightness + (goal - lightness) * step / _STEPS
        candidate = _hex(colorsys.hls_to_rgb(hue, adjusted, saturation))
        if contrast(candidate, background) >= _MIN_CONTRAST:
            return candidate
    return "#000000" if goal == 0.0 else "#ffffff"


def contrast(colour: str, other: str) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    high, low = sorted((_luminance(colour), _luminance(other)), reverse=True)
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
