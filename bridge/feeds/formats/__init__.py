"""The registry of feed formats, by the suffix of a feed's address."""

from bridge.feeds.formats import ics, json, text
from bridge.feeds.formats.base import Format

FORMATS: dict[str, Format] = {module.FORMAT.suffix: module.FORMAT for module in (ics, json, text)}

ICS = ics.FORMAT
