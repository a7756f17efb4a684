"""SIGHUP: a real server reads the file of studios again."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clocks import wait_until
from faults.fleet import Machine
from several_studios.conftest import token, toml


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "studios.toml"


@pytest.fixture
def machine(upstreams: Any, tmp_path: Path, file: Path) -> Iterator[Machine]:
    """A server with the studio ``riverside``."""
    urls, _ = upstreams
    write(file, urls, "riverside")
    with Machine(
        "",
        f"sqlite:///{tmp_path}/store.sqlite3",
        STUDIOS=str(file),
        TEAMUP_API_TOKEN="",
        TEAMUP_BASE_URL="",
        TEAMUP_SOURCES="",
    ) as machine:
        yield machine


def write(file: Path, urls: dict[str, str], *slugs: str, **fields: object) -> None:
    """Write the file of these studios."""
    rows = {slug: {"token": token(slug), "teamup_base_url": urls[slug], **fields} for slug in slugs}
    file.write_text(toml(rows), encoding="utf-8")


def problems(machine: Machine) -> list[str]:
    """The log lines of files that were refused."""
    return [line for line in machine.log if "settings not reloaded" in line]


def test_the_file_is_read_again_on_sighup_and_a_mistake_in_it_changes_nothing(
    machine: Machine, upstreams: Any, file: Path
) -> None:
    urls, _ = upstreams
    assert machine.get("/s/riverside/venues/12.ics").status == 200
    assert machine.get("/s/old-chapel/venues/12.ics").status == 404

    began = machine.workers_started()
    logo = file.parent / "logo.svg"
    logo.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>', encoding="utf-8")
    write(file, urls, "riverside", "old-chapel", studio_logo=str(logo))
    machine.send_signal(signal.SIGHUP)
    wait_until(lambda: machine.get("/s/old-chapel/venues/12.ics").status == 200)
    wait_until(lambda: machine.get("/s/riverside/venues/12.ics").status == 200)

    # The line of a worker's start may arrive after its first response.
    wait_until(lambda: machine.workers_started() == 2 * began)
    logo.unlink()
    # A file that a table names may be what cannot be used.
    for number, (mistake, expected) in enumerate(
        [
            ({"cache_tll": 1}, "cache_tll: is not a setting; did you mean cache_ttl?"),
            ({"studio_logo": "none.svg"}, "studio_logo: 'none.svg'"),
        ],
        1,
    ):
        write(file, urls, "riverside", **mistake)
        machine.send_signal(signal.SIGHUP)
        wait_until(lambda: len(problems(machine)) == number)  # noqa: B023
        assert f"STUDIOS, riverside, {expected}" in problems(machine)[-1]
    # A worker that replaces one that has ended has the settings of the others.
    wait_until(lambda: len(machine.workers()) == 1)
    machine.signal_workers(signal.SIGKILL)
    wait_until(lambda: machine.workers_started() == 2 * began + 1)
    file.unlink()
    os.mkfifo(file)
    machine.send_signal(signal.SIGHUP)
    wait_until(lambda: len(problems(machine)) == 3)
    assert "it is not a regular file" in problems(machine)[-1]
    for slug in ("riverside", "old-chapel"):
        # A worker that was replaced may answer until it has stopped.
        wait_until(lambda: machine.get(f"/s/{slug}/venues/12.ics").status == 200)  # noqa: B023
    assert machine.workers_started() == 2 * began + 1
    assert token("riverside") not in "".join(machine.log)
