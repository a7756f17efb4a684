"""The page budget: limits that keep each page below 100 kB for any studio and any names."""

from collections.abc import Sequence

TIMETABLE = 44_000
"""Maximum bytes of the timetable in a page, with its filters and structured data."""

STRUCTURED_DATA = 14_000
"""Bytes of that for structured data, in pages that have any."""

FILTERS = 10_000
"""Bytes of that for the filters, at most."""

CATALOGUE = 38_000
"""Maximum bytes of the lists on the start page, and of the numbers for its script."""


MAX_PATH = 2_000
"""Maximum characters of the path of a timetable's page, with its query.

Up to half of it pages stay below 100 kB, beyond below 150 kB: some 40 links repeat the path."""

_USUAL_PATH = 100
# How many links of a page contain its path, without those of the days of a month.
_PATH_LINKS = 40
_DAY_LINKS = 62
_MAX_DAY_LINK = 400
_MAX_REMOVAL_LINKS = 20
_REMOVAL_LINKS = 4_000


def has_day_links(path: str) -> bool:
    """Whether the page of a month at this path has links to its days."""
    return len(path) <= _MAX_DAY_LINK


def path_size(path: str, *, days: bool) -> int:
    """The approximate size of all copies of a page's path in its links, beyond a usual length.

    Args:
        days: whether it is the page of a month.
    """
    times = _PATH_LINKS + (_DAY_LINKS if days and has_day_links(path) else 0)
    return max(0, text_size(path) - _USUAL_PATH) * times


def removal_links(path: str) -> int:
    """How many links that remove one filter each fit into the page at this path."""
    return max(1, min(_MAX_REMOVAL_LINKS, _REMOVAL_LINKS // text_size(path)))


def items_per_group(groups: Sequence[Sequence[int]], limit: int, *, most: int) -> int:
    """How many items of each group fit into a page: the same number for all groups.

    Args:
        groups: the sizes of the items of each group, in order.
        limit: maximum total size of the items.
        most: maximum number of items of a group.
    """
    size = 0
    for number in range(min(most, max(map(len, groups), default=0))):
        size += sum(group[number] for group in groups if number < len(group))
        if size > limit:
            return max(1, number)
    return most


def text_size(*parts: str, frame: int = 0, times: int = 1) -> int:
    """The approximate size of texts in a page, in bytes.

    Args:
        frame: size of the markup around them.
        times: how often the page contains them.
    """
    # An ampersand is written as &amp;.
    return frame + times * sum(len(part.encode()) + 4 * part.count("&") for part in parts)
