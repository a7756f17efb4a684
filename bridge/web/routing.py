"""The URL rules of feeds and their pages: the parts of an address, and the rules of all kinds.

@kind_routes(blueprint, ".<feed_format:form>")
def show(kind: Kind, identity: int | None, form: Format) -> Response: ...
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from flask import Blueprint
from werkzeug.routing import BaseConverter, ValidationError

from bridge.feeds.formats import CHANGE_FORMATS, FORMATS
from bridge.feeds.formats.base import Format
from bridge.feeds.spec import Kind
from bridge.filter_params import MAX_ID

View = TypeVar("View", bound=Callable[..., Any])

ID_WITH_SLUG = r"[0-9]{1,19}(?:-[^/]*)?"
"""The pattern of an id in an address, with an optional name after it."""


def kind_routes(
    blueprint: Blueprint, *endings: str, kinds: Iterable[Kind] = Kind
) -> Callable[[View], View]:
    """Route the objects of these *kinds*, and the filter sets, to a view.

    Args:
        endings: what follows in their paths; by default nothing.
    """
    paths: dict[str, dict[str, Any]] = {
        f"/{kind.value}/<feed_id:identity>": {"kind": kind} for kind in kinds
    }
    paths[f"/{Kind.SESSION.value}"] = {"kind": Kind.SESSION, "identity": None}

    def add(view: View) -> View:
        for path, values in paths.items():
            for ending in endings or ("",):
                blueprint.add_url_rule(f"{path}{ending}", view_func=view, defaults=values)
        return view

    return add


class _FeedId(BaseConverter):
    """An id with an optional slug, which is ignored. Some clients use it as the calendar's name."""

    regex = ID_WITH_SLUG

    def to_python(self, value: str) -> int:
        """Convert to the id, without the slug."""
        digits = re.match(r"[0-9]+", value, re.ASCII)
        if digits is None or int(digits[0]) > MAX_ID:
            raise ValidationError
        return int(digits[0])


def _suffix_of(formats: Mapping[str, Format]) -> type[BaseConverter]:
    """A converter of the suffix of an address to the format."""

    class Suffix(BaseConverter):
        regex = "|".join(formats)

        def to_python(self, value: str) -> Format:
            return formats[value]

    return Suffix


CONVERTERS: Mapping[str, type[BaseConverter]] = {
    "feed_id": _FeedId,
    "feed_format": _suffix_of(FORMATS),
    "change_format": _suffix_of(CHANGE_FORMATS),
}
"""The converters of the rules, by name."""
