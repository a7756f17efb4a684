"""The table of results: each row is measured once per run, and shown over all runs."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure of the bridge, measured in one run.

    Attributes:
        name: what is measured.
        value: the bridge's figure.
        unit: of the value and of the reference.
        reference: the figure that the value is compared with; None where there is none.
        speedup: the ratio is reference / value instead of value / reference.
        at_least, at_most: the target, for the ratio where there is a reference, else for the value.
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
        """How value and reference compare."""
        if self.reference is None:
            return None
        return self.reference / self.value if self.speedup else self.value / self.reference

    @property
    def target(self) -> str:
        """The target as it is printed; empty where there is none."""
        unit = self.unit if self.reference is None else " ×"
        if self.at_least is not None:
            return f"≥ {_number(self.at_least)}{unit}"
        return "" if self.at_most is None else f"≤ {_number(self.at_most)}{unit}"

    @property
    def missed(self) -> bool:
        """Whether there is a target, and this run missed it."""
        figure = self.value if self.ratio is None else self.ratio
        return (self.at_least is not None and figure < self.at_least) or (
            self.at_most is not None and figure > self.at_most
        )


def line(runs: Sequence[Row]) -> str:
    """One line of the table.

    Args:
        runs: the same row as each run measured it.
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
    """The median, and the lowest and the highest where they differ from it."""
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
