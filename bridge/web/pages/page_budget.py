"""The weight of pages: each stays under 100 kB in all, whatever the studio and its names."""

from collections.abc import Sequence

TIMETABLE = 60_000
"""Bytes of a page that its timetable may take."""

STRUCTURED = 14_000
"""Bytes of the timetable's that are for what is told to search engines, where that is told."""

CATALOGUE = 60_000
"""Bytes of the start page that its lists may take."""


def fitting(groups: Sequence[Sequence[int]], limit: int, *, most: int) -> int:
    """How many items each group can show, the same for all.

    Args:
        groups: of each, what its items weigh, in order.
        limit: what all that is shown may weigh.
        most: of one group.
    """
    weight = 0
    for number in range(min(most, max(map(len, groups), default=0))):
        weight += sum(group[number] for group in groups if number < len(group))
        if weight > limit:
            return max(1, number)
    return most


def text(*parts: str, frame: int = 0, times: int = 1) -> int:
    """About the bytes of some texts in a page.

    Args:
        frame: of the markup around them.
        times: how often they stand in it.
    """
    # Markup in a name is written longer than it is.
    return frame + times * sum(len(part.encode()) + 4 * part.count("&") for part in parts)
