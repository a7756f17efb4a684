"""Load, by wrk: bounded in time, on loopback."""

import re
import statistics
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 64
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass(frozen=True)
class Load:
    """What a server did under load.

    Attributes:
        rate: answers a second.
        p50, p99: milliseconds.
        failed: answers over 399, and connections that broke.
    """

    rate: float
    p50: float
    p99: float
    failed: int


def load(
    url: str,
    headers: Sequence[str] = (),
    *,
    seconds: int = 4,
    connections: int = CONNECTIONS,
    strangers: bool = False,
) -> Load:
    """Ask *url* over and over again, over *connections* that stay open.

    Args:
        strangers: no two requests are alike; otherwise all are, to the byte.
    """
    given = [part for one in headers for part in ("-H", one)]
    if strangers:
        given += ["-s", str(Path(__file__).with_name("strangers.lua"))]
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--latency",
        "--timeout",
        "30s",
        *given,
        url,
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    failed = [int(one) for one in re.findall(r"Non-2xx or 3xx responses: (\d+)", said)]
    for line in re.findall(r"Socket errors: (.*)", said):
        failed += [int(one) for one in re.findall(r"\d+", line)]
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if rate is None:
        raise RuntimeError(f"wrk said nothing of use:\n{said}")
    return Load(float(rate[1]), _quantile(said, 50), _quantile(said, 99), sum(failed))


def side_by_side(*measure: Callable[[], Load], rounds: int = 3) -> list[Load]:
    """Each measurement's median round; they take turns, so that a noisy minute is everybody's."""
    for one in measure:
        one()  # to warm up
    taken = [[one() for one in measure] for _ in range(rounds)]
    return [_median([row[place] for row in taken]) for place in range(len(measure))]


def _median(loads: Sequence[Load]) -> Load:
    failed = sum(one.failed for one in loads)
    if failed:
        raise RuntimeError(f"{failed} answers failed under load")
    return Load(
        statistics.median(one.rate for one in loads),
        statistics.median(one.p50 for one in loads),
        statistics.median(one.p99 for one in loads),
        0,
    )


def _quantile(said: str, percent: int) -> float:
    found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s|m)$", said, re.MULTILINE)
    return float(found[1]) * _UNITS[found[2]] if found else float("nan")
