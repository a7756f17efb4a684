"""Load tests with wrk, on loopback."""

import re
import statistics
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 64
SECONDS, ROUNDS = 2, 3
"""The duration and number of measurements in :func:`side_by_side`."""

EACH_DIFFERENT = "each_different.lua"
PATHS = "paths.lua"
"""Scripts for wrk."""

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass(frozen=True)
class Load:
    """How a server answered under load.

    Attributes:
        rate: responses per second.
        p99: the 99th percentile of response times, in milliseconds.
    """

    rate: float
    p99: float


def load(
    url: str,
    headers: Sequence[str] = (),
    *,
    seconds: int = SECONDS,
    connections: int = CONNECTIONS,
    script: str | None = None,
    arguments: Sequence[str] = (),
) -> Load:
    """Send the same request repeatedly, over *connections* persistent connections.

    Args:
        script: a wrk script in this folder that makes the requests instead.
        arguments: arguments of the script.

    Raises:
        RuntimeError: a response had a status over 399, or a connection broke.
    """
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "30s"]
    for header in headers:
        command += ["-H", header]
    if script is not None:
        command += ["-s", str(Path(__file__).with_name(script))]
    command += [url, "--", *arguments]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    p99 = re.search(r"^\s+99%\s+([\d.]+)(us|ms|s|m)\s*$", output, re.MULTILINE)
    if rate is None or p99 is None or "Non-2xx or 3xx" in output or "Socket errors" in output:
        raise RuntimeError(f"requests to {url} failed:\n{output}")
    return Load(float(rate[1]), float(p99[1]) * _UNITS[p99[2]])


def side_by_side(*measurements: Callable[..., Load]) -> list[Load]:
    """Run all measurements in turn, several times, and return the medians of each.

    They take turns so that a change in the machine's speed affects all of them.

    Args:
        measurements: each accepts ``seconds``, as :func:`load` does.
    """
    for measure in measurements:
        measure(seconds=1)  # to warm up
    rounds = [[measure() for measure in measurements] for _ in range(ROUNDS)]
    return [
        Load(
            statistics.median(load.rate for load in loads),
            statistics.median(load.p99 for load in loads),
        )
        for loads in zip(*rounds, strict=True)
    ]
