"""Runs all measurements several times, and writes docs/performance.md (``make bench``)."""

import argparse
import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

from bench import hot, load, memory, outage, rendering, servers, table, two_machines, upstream
from bench.table import Row

_TEMPLATE = Path(__file__).with_name("performance.md")
_PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
_SUBSCRIBERS = 1_000_000


def main() -> None:
    """Measure, print the results, and write the page."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument(
        "--open-web-calendar",
        type=Path,
        metavar="PYTHON",
        help="the Python of the environment in which Open Web Calendar is installed",
    )
    parser.add_argument("--runs", type=int, default=3, help="number of measurements (default: 3)")
    arguments = parser.parse_args()
    measured = [_run(arguments.open_web_calendar) for _ in range(arguments.runs)]
    runs = [rows for rows, _ in measured]
    figures = {
        name: statistics.median(figures[name] for _, figures in measured) for name in measured[0][1]
    }
    site = two_machines.report(two_machines.measure(), two_machines.maximum_age())
    rows = table.markdown(runs)
    print(f"\n{rows}\n\n{site}")
    _PAGE.write_text(_page(rows, site, figures, len(runs)), encoding="utf-8")
    print(f"written to {_PAGE}")


def _run(open_web_calendar: Path | None) -> tuple[list[Row], dict[str, float]]:
    """Measure everything once, and print each row as it is measured.

    Returns:
        The rows; and the rates and sizes that the page quotes, by name.
    """
    rows, figures = hot.against_servers()
    _print(rows)
    measurements: list[Callable[[], list[Row]]] = [
        hot.behind_nginx,
        hot.against_plain_bridge,
        rendering.rows,
        upstream.calls,
        upstream.cold,
        outage.warm_feed,
        outage.new_feeds,
        outage.many_clients,
        memory.rows,
    ]
    if open_web_calendar is not None:
        measurements.insert(2, partial(hot.against_open_web_calendar, open_web_calendar.absolute()))
    for measure in measurements:
        rows += _print(measure())
    return rows, figures


def _print(rows: list[Row]) -> list[Row]:
    for row in rows:
        print(table.line([row]), flush=True)
    return rows


def _page(rows: str, site: str, figures: Mapping[str, float], runs: int) -> str:
    polls = _SUBSCRIBERS / 3_600
    peak = 10 * polls
    return _TEMPLATE.read_text(encoding="utf-8").format(
        **figures,
        machine=_machine(),
        table=rows,
        runs=runs,
        cores=os.cpu_count(),
        connections=load.CONNECTIONS,
        rounds=load.ROUNDS,
        seconds=load.SECONDS,
        page_seconds=upstream.PAGE_SECONDS,
        concurrency=upstream.CONCURRENCY,
        two_machines=site,
        polls=polls,
        peak=peak,
        share=polls / figures["rate_304"],
        peak_share=peak / figures["rate_304"],
        worst_share=peak / figures["rate_gzip"],
        kilobytes=figures["bytes_gzip"] / 1000,
        gigabytes=4 * figures["bytes_gzip"] * _SUBSCRIBERS / 1e9,
        gigabytes_304=20 * 500 * _SUBSCRIBERS / 1e9,
        cdn=1_000 * 2 * 50 / 300,
    )


def _machine() -> str:
    nginx = subprocess.run(
        [servers.nginx_program(), "-v"], capture_output=True, text=True, check=True
    )
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores"
        f" ({platform.machine()}), Linux {platform.release().split('-')[0]},"
        f" Python {platform.python_version()}, granian {version('granian')},"
        f" {nginx.stderr.strip().rpartition(': ')[2]}."
    )


if __name__ == "__main__":
    main()
