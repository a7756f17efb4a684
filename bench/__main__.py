"""``make bench``: measures everything, prints the table, and writes docs/performance.md."""

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from bench import hot, rendering, strain, two_machines, upstream
from bench.load import CONNECTIONS
from bench.table import Row, markdown

_HERE = Path(__file__).parent
_PAGE = _HERE.parent / "docs" / "performance.md"
_SUBSCRIBERS = 1_000_000
_HOUR, _DAY = 3_600, 86_400


def main() -> None:
    """Measure, print and write."""
    given = argparse.ArgumentParser(prog="bench", description=__doc__)
    given.add_argument(
        "--open-web-calendar",
        type=Path,
        metavar="PYTHON",
        help="of the environment that Open Web Calendar is installed in",
    )
    python = given.parse_args().open_web_calendar
    rows, figures = hot.against_nginx()
    _told(rows)
    rows += _told(hot.against_the_plain_bridge())
    if python is not None:
        rows += _told(hot.against_open_web_calendar(python.absolute()))
    rows += _told(rendering.rows())
    rows += _told(upstream.calls())
    rows += _told(upstream.cold())
    rows += _told(strain.hanging())
    rows += _told(strain.memory())
    seen = two_machines.report(two_machines.look())
    print(f"\n{markdown(rows)}\n{seen}")
    _PAGE.write_text(_page(markdown(rows), seen, figures), encoding="utf-8")
    print(f"written to {_PAGE}")
    if missed := [one.what for one in rows if one.met is False]:
        print("missed: " + "; ".join(missed))


def _told(rows: list[Row]) -> list[Row]:
    """The rows; each is printed as it comes."""
    for one in rows:
        print(f"{one.what}: {one.here} | {one.there} | {one.ratio} {one.reach}", flush=True)
    return rows


def _page(table: str, seen: str, figures: Mapping[str, float]) -> str:
    polls = _SUBSCRIBERS / _HOUR
    peak = 10 * polls
    whole = 4 * figures["bytes_gzip"] * _SUBSCRIBERS
    bare = 20 * 500 * _SUBSCRIBERS
    text = (_HERE / "performance.md").read_text(encoding="utf-8")
    return text.format(
        **figures,
        machine=_machine(),
        table=table,
        cores=os.cpu_count(),
        connections=CONNECTIONS,
        page_seconds=upstream.PAGE_SECONDS,
        concurrency=upstream.CONCURRENCY,
        two_machines=seen,
        polls=polls,
        peak=peak,
        share=polls / figures["rate_304"],
        peak_share=peak / figures["rate_304"],
        worst=peak / figures["rate_gzip"],
        kilobytes=figures["bytes_gzip"] / 1000,
        gigabytes=whole / 1e9,
        gigabytes_304=bare / 1e9,
        cdn=1_000 * 2 * 50 / 300,
    )


def _machine() -> str:
    nginx = _version(["nginx", "-v"])
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores"
        f" ({platform.machine()}), Linux {platform.release().split('-')[0]},"
        f" Python {platform.python_version()}, {nginx}."
    )


def _version(command: list[str]) -> str:
    """What a program says of itself."""
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    return (said.stdout + said.stderr).strip().rpartition(": ")[2]


if __name__ == "__main__":
    sys.exit(main())
