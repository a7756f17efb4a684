"""The registry of feed formats, by the suffix of a feed's address."""

from bridge.feeds.formats import atom, changes_json, ics, json, text
from bridge.feeds.formats.base import Format

FORMATS: dict[str, Format] = {module.FORMAT.suffix: module.FORMAT for module in (ics, json, text)}

CHANGE_FORMATS: dict[str, Format] = {
    module.FORMAT.suffix: module.FORMAT for module in (atom, changes_json)
}
"""The formats of changes, by the suffix of ``…/changes.<suffix>``."""

ICS = ics.FORMAT
JSON = json.FORMAT
