"""The table of results: each row combines the measurements of all runs."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure of the bridge, measured in one run.

    Attributes:
        name: what is measured.
        value: the bridge's figure.
        unit: the unit of the value and the reference.
        reference: the figure with which the value is compared, if any.
        speedup: the ratio is reference / value instead of value / reference.
        at_least, at_most: the target for the ratio, or for the value if there is no reference.
    """

    name: str
    value: float
    unit: str
    reference: float | None = None
    speedup: bool = False
    at_least: float | None = None
    at_most: float | None = None

    @property
    def ratio(self) -> float | None:
        """The ratio of value and reference, if there is a reference."""
        if self.reference is None:
            return None
        return self.reference / self.value if self.speedup else self.value / self.reference

    @property
    def target(self) -> str:
        """The target as text; empty if there is none."""
        unit = self.unit if self.reference is None else " ×"
        if self.at_least is not None:
            return f"≥ {_number(self.at_least)}{unit}"
        return "" if self.at_most is None else f"≤ {_number(self.at_most)}{unit}"

    @property
    def missed(self) -> bool:
        """Whether this run missed the target."""
        figure = self.value if self.ratio is None else self.ratio
        return (self.at_least is not None and figure < self.at_least) or (
            self.at_most is not None and figure > self.at_most
        )


def line(runs: Sequence[Row]) -> str:
    """One line of the table.

    Args:
        runs: the same row in each run.
    """
    row = runs[0]
    reached = "**no**" if any(run.missed for run in runs) else "yes"
    cells = [
        row.name,
        _spread([run.value for run in runs], row.unit),
        _spread([run.reference for run in runs], row.unit),
        _spread([run.ratio for run in runs], " ×"),
        row.target,
        reached if row.target else "",
    ]
    return f"| {' | '.join(cells)} |"


def markdown(runs: Sequence[Sequence[Row]]) -> str:
    """The whole table as Markdown."""
    head = ["| what | bridge | compared with | ratio | target | reached |", "| --- " * 6 + "|"]
    return "\n".join([*head, *(line(rows) for rows in zip(*runs, strict=True))])


def _spread(figures: Sequence[float | None], unit: str) -> str:
    """The median, with the lowest and the highest figure if they differ."""
    known = [figure for figure in figures if figure is not None]
    if not known:
        return ""
    median, lowest, highest = (
        _number(figure) for figure in (statistics.median(known), min(known), max(known))
    )
    return f"{median}{unit}" + ("" if lowest == highest else f" ({lowest}–{highest})")


def _number(figure: float) -> str:
    """*figure* with three digits or more."""
    if figure >= 100 or figure == int(figure):
        return f"{figure:,.0f}"
    return f"{figure:.1f}" if figure >= 10 else f"{figure:.2f}"
