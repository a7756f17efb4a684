"""The table: what was measured here and at the peer, as a ratio, and what is to be reached."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A measurement.

    Attributes:
        here, there: figures with their units, of the bridge and of what it is held against.
        ratio: such as ``12.3 ×``, or the one figure that counts.
        reach: what it should be; empty where nothing was set.
        met: whether it is; None where nothing was set.
    """

    what: str
    here: str
    there: str
    ratio: str
    reach: str = ""
    met: bool | None = None

    @classmethod
    def at_least(cls, what: str, here: str, there: str, ratio: float, reach: float) -> "Row":
        """One whose ratio should be at least *reach*."""
        return cls(what, here, there, times(ratio), f"≥ {times(reach)}", ratio >= reach)

    @classmethod
    def at_most(cls, what: str, here: str, there: str, ratio: float, reach: float) -> "Row":
        """One whose ratio should be at most *reach*."""
        return cls(what, here, there, times(ratio), f"≤ {times(reach)}", ratio <= reach)


def times(ratio: float) -> str:
    """A ratio as it is printed."""
    return f"{ratio:.2f} ×" if ratio < 10 else f"{ratio:,.0f} ×"


def markdown(rows: Sequence[Row]) -> str:
    """The table as Markdown."""
    said = {True: "yes", False: "**no**", None: ""}
    lines = ["| what | bridge | against | ratio | to reach | reached |", "| --- " * 6 + "|"]
    lines += [
        f"| {one.what} | {one.here} | {one.there} | {one.ratio} | {one.reach} | {said[one.met]} |"
        for one in rows
    ]
    return "\n".join(lines) + "\n"
