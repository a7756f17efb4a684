"""Numbers: what happens below the web is counted, under names that are told and do not grow."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from clocks import ManualClock

from bridge.errors import StoreError
from bridge.ops import metrics_dir
from bridge.ops.metrics import FOLDER, Metrics
from bridge.sandbox.faults import Faults
from bridge.services import Services
from bridge.store.fallback import COOL_DOWN_SECONDS, FallbackStore
from bridge.store.interface import Write
from bridge.store.memory import MemoryStore
from bridge.web import create_app

HOME = Path(__file__).parent.parent.parent


def found(metrics: Metrics) -> dict[str, float]:
    """Every number, by its name and labels."""
    lines = (one for one in metrics.exposition().decode().splitlines() if one[:1] != "#")
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_what_a_walk_and_a_feed_take_is_counted(
    make_bridge: Callable[..., Services], clock: ManualClock
) -> None:
    parts = make_bridge(requests_per_minute=200)
    create_app(parts).test_client().get("/venues/12.ics")
    clock.move(30)
    told = found(parts.metrics)
    pages = told["bridge_pages_total"]
    assert pages > 1
    assert told['bridge_walks_total{outcome="complete"}'] == 1
    assert told["bridge_walk_seconds_count"] == 1
    assert told['bridge_upstream_attempts_total{outcome="complete"}'] == pages
    assert told['bridge_render_seconds_count{form="ics"}'] == 1
    assert told["bridge_upstream_failing"] == 0
    assert told["bridge_budget_left"] == 200 - pages
    assert told["bridge_snapshot_age_seconds"] == 30
    left = told["bridge_snapshot_fresh_seconds"]
    assert 270 - 30 <= left <= 330 - 30
    assert told["bridge_snapshot_expiry_seconds"] == left + 604_800
    assert told["bridge_sessions"] > 100
    assert told['bridge_sessions_withheld{reason="draft"}'] > 0


def test_what_fails_is_counted_by_its_cause(
    make_bridge: Callable[..., Services], faults: Faults
) -> None:
    parts = make_bridge()
    faults.set("status", 403)
    create_app(parts).test_client().get("/venues/12.ics")
    told = found(parts.metrics)
    assert told['bridge_walks_total{outcome="permission_denied"}'] == 1
    assert told['bridge_upstream_attempts_total{outcome="permission_denied"}'] == 1
    assert told["bridge_upstream_failing"] == 1


def test_codes_that_upstream_makes_up_make_no_series() -> None:
    metrics = Metrics()
    for number in range(500):
        metrics.attempted(f"made_up_{number}")
        metrics.walked(f"made_up_{number}", 1.0, 0)
    counts = {name: value for name, value in found(metrics).items() if "_total{" in name}
    assert list(counts.values()) == [500, 500]


def test_a_store_that_fails_is_counted_until_it_is_well(clock: ManualClock) -> None:
    class Full(MemoryStore):
        full = True

        def commit(self, *args: object, **more: object) -> str | None:
            if self.full:
                raise StoreError("full by the test", readable=True)
            return super().commit(*args, **more)  # type: ignore[arg-type]

    metrics, primary = Metrics(), Full(clock)
    store = FallbackStore(primary, clock, metrics)
    store.commit({"a": Write(b"1")})
    told = found(metrics)
    assert told['bridge_store_errors_total{operation="write"}'] == 1
    assert told["bridge_store_failing_workers"] == 1
    primary.full = False
    clock.move(COOL_DOWN_SECONDS)
    store.commit({"a": Write(b"1")})
    assert found(metrics)["bridge_store_failing_workers"] == 0


def test_every_name_is_the_bridges_own_and_told_in_the_documentation(
    make_bridge: Callable[..., Services],
) -> None:
    parts = make_bridge()
    create_app(parts).test_client().get("/venues/12.ics")
    page = (HOME / "docs" / "operations.md").read_text()
    documented = set(re.findall(r"`(bridge_\w+?)(?:_total)?(?:\{[\w,]+\})?`", page))
    named = re.findall(r"^# TYPE (\w+)", parts.metrics.exposition().decode(), re.MULTILINE)
    assert {name.removesuffix("_total").removesuffix("_created") for name in named} <= documented
    helped = re.findall(r"^# HELP \w+ (.+)", parts.metrics.exposition().decode(), re.MULTILINE)
    assert len(helped) == len(named)


class TestTheFolder:
    def test_one_worker_counts_by_itself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(FOLDER, raising=False)
        metrics_dir.begin(1)
        assert FOLDER not in os.environ

    def test_several_have_one_that_nobody_else_can_look_into_and_a_new_start_empties_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = []
        for _ in range(2):
            monkeypatch.setenv(FOLDER, "")
            metrics_dir.begin(2)
            made.append(Path(os.environ[FOLDER]))
            assert made[-1].stat().st_mode & 0o777 == 0o700
            (made[-1] / "counter_1.db").touch()
        assert not made[0].exists()
        metrics_dir.begin(1)
        assert list(made[1].iterdir()) == []
        made[1].rmdir()

    def test_what_servers_that_are_gone_left_behind_is_removed(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv(FOLDER, "")
        monkeypatch.setattr(metrics_dir, "_MEMORY", str(tmp_path))
        with subprocess.Popen([sys.executable, "-c", ""]) as gone:
            gone.wait()
        for pid in (gone.pid, os.getppid()):
            (tmp_path / f"bridge-numbers-{pid}-x").mkdir()
        (tmp_path / "somebody-elses").mkdir()
        metrics_dir.begin(1)
        left = {one.name for one in tmp_path.iterdir()}
        assert left == {"somebody-elses", f"bridge-numbers-{os.getppid()}-x"}
