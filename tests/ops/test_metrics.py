"""Metrics of the lower layers: values, documentation, and a bounded number of series."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from asgi_client import AsgiClient
from clocks import ManualClock
from walking import key

from bridge.errors import StoreError
from bridge.filters import FilterSet
from bridge.model import SourceName
from bridge.ops import metrics_dir
from bridge.ops.metrics import DIR_VARIABLE, Metrics
from bridge.sandbox.faults import Faults
from bridge.services import Services
from bridge.snapshots.router import SourceState
from bridge.store.fallback import COOL_DOWN_SECONDS, FallbackStore
from bridge.store.interface import Write
from bridge.store.memory import MemoryStore
from bridge.web import create_app
from bridge.web.middleware.access_log import STARTED_KEY

HOME = Path(__file__).parent.parent.parent
RULE = "/venues/<feed_id:identity>.<feed_format:form>"


def samples_of(metrics: Metrics) -> dict[str, float]:
    """All values, by name and labels."""
    lines = metrics.exposition().decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def test_walks_and_renderings_are_counted(
    make_bridge: Callable[..., Services], clock: ManualClock
) -> None:
    parts = make_bridge(requests_per_minute=200)
    client = create_app(parts).test_client()
    for path in ("/venues/12.ics", "/venues/12", "/venues/12"):
        assert client.get(path).status_code == 200
    clock.move(30)
    samples = samples_of(parts.metrics)
    pages = samples["bridge_pages_total"]
    assert pages > 1
    assert samples['bridge_walks_total{outcome="complete"}'] == 1
    assert samples["bridge_walk_seconds_count"] == 1
    assert samples['bridge_upstream_attempts_total{outcome="complete"}'] == pages
    assert samples['bridge_render_seconds_count{form="ics"}'] == 1
    assert samples['bridge_render_seconds_count{form="html"}'] == 1
    assert samples["bridge_upstream_failing"] == 0
    assert samples["bridge_budget_left"] == 200 - pages
    assert samples["bridge_snapshot_age_seconds"] == 30
    fresh_for = samples["bridge_snapshot_fresh_seconds"]
    assert 270 - 30 <= fresh_for <= 330 - 30
    assert samples["bridge_snapshot_expiry_seconds"] == fresh_for + 604_800
    assert samples["bridge_sessions"] > 100
    assert samples['bridge_sessions_withheld{reason="draft"}'] > 0


def test_durations_of_cached_and_other_responses_are_in_one_histogram(
    make_bridge: Callable[..., Services],
) -> None:
    parts = make_bridge()
    client = AsgiClient.of(parts)
    for _ in range(20):
        assert client.get("/venues/12.ics").status_code == 200
    assert client.get("/venues/12.ics?past=x").status_code == 400
    labels = f'{{route="{RULE}",status_class="2xx"}}'
    samples = samples_of(parts.metrics)
    assert samples[f"bridge_request_duration_seconds_count{labels}"] == 20
    assert samples[f"bridge_request_duration_seconds_sum{labels}"] > 0
    buckets = [
        value
        for name, value in samples.items()
        if name.startswith("bridge_request_duration_seconds_bucket") and "2xx" in name
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 20
    labels = labels.replace("2xx", "4xx")
    assert samples[f"bridge_request_duration_seconds_count{labels}"] == 1


def test_the_wait_for_a_thread_is_a_part_of_the_duration(
    make_bridge: Callable[..., Services],
) -> None:
    parts = make_bridge()
    app = create_app(parts)
    arrived = time.monotonic() - 100
    app.test_client().get("/robots.txt", environ_overrides={STARTED_KEY: arrived})
    labels = '{route="/robots.txt",status_class="2xx"}'
    assert samples_of(parts.metrics)[f"bridge_request_duration_seconds_sum{labels}"] >= 100


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="process metrics need Linux")
def test_each_worker_reports_its_process() -> None:
    samples = samples_of(Metrics())
    label = f'{{pid="{os.getpid()}"}}'
    assert samples[f"bridge_process_cpu_seconds_total{label}"] > 0
    assert samples[f"bridge_process_resident_memory_bytes{label}"] > 1_000_000
    assert (
        0 < samples[f"bridge_process_open_fds{label}"] < samples[f"bridge_process_max_fds{label}"]
    )


def test_failures_are_counted_by_cause(
    make_bridge: Callable[..., Services], faults: Faults
) -> None:
    parts = make_bridge()
    faults.set("status", 403)
    create_app(parts).test_client().get("/venues/12.ics")
    samples = samples_of(parts.metrics)
    assert samples['bridge_walks_total{outcome="permission_denied"}'] == 1
    assert samples['bridge_upstream_attempts_total{outcome="permission_denied"}'] == 1
    assert samples["bridge_upstream_failing"] == 1


def test_each_list_has_its_own_age_and_failure(
    make_bridge: Callable[..., Services], faults: Faults, clock: ManualClock
) -> None:
    parts = make_bridge(sources=frozenset(SourceName))
    client = create_app(parts).test_client()
    client.get("/venues/12.ics")
    clock.move(30)
    samples = samples_of(parts.metrics)
    assert samples['bridge_source_age_seconds{source="events"}'] == 30
    assert samples['bridge_source_age_seconds{source="course_sessions"}'] == 30
    assert samples['bridge_walks_total{outcome="complete"}'] == 2
    assert samples['bridge_sessions_withheld{reason="appointment"}'] > 0
    faults.set("status", 418, source="events")
    clock.move(4_500)
    assert client.get("/venues/12.ics").status_code == 200
    samples = samples_of(parts.metrics)
    assert samples['bridge_source_failing{source="events"}'] == 1
    assert samples['bridge_source_age_seconds{source="events"}'] == 4_530
    assert samples['bridge_source_failing{source="course_sessions"}'] == 0
    assert samples['bridge_source_age_seconds{source="course_sessions"}'] == 0
    # The timetable is as old as its oldest part.
    assert samples["bridge_upstream_failing"] == 1
    assert samples["bridge_snapshot_age_seconds"] == 4_530


def test_a_list_that_the_token_may_not_read_is_no_failure_of_upstream(
    make_bridge: Callable[..., Services], faults: Faults
) -> None:
    parts = make_bridge(sources=frozenset(SourceName))
    faults.set("status", 403, source="events")
    assert create_app(parts).test_client().get("/venues/12.ics").status_code == 200
    samples = samples_of(parts.metrics)
    assert samples["bridge_upstream_failing"] == 0
    assert samples['bridge_source_failing{source="events"}'] == 1
    assert 'bridge_source_age_seconds{source="events"}' not in samples
    assert samples["bridge_sessions"] > 100


def test_unknown_upstream_codes_share_one_series() -> None:
    metrics = Metrics()
    for number in range(500):
        metrics.page_requested(f"made_up_{number}")
        metrics.walk_finished(f"made_up_{number}", 1.0, 0)
    counts = {
        name: value for name, value in samples_of(metrics).items() if "_total{outcome=" in name
    }
    assert list(counts.values()) == [500, 500]


def test_a_failing_store_is_counted_until_it_recovers(clock: ManualClock) -> None:
    class Full(MemoryStore):
        full = True

        def commit(self, *args: object, **kwargs: object) -> str | None:
            if self.full:
                raise StoreError("full by the test", readable=True)
            return super().commit(*args, **kwargs)  # type: ignore[arg-type]

    metrics, primary = Metrics(), Full(clock)
    store = FallbackStore(primary, clock, metrics)
    store.commit({"a": Write(b"1")})
    samples = samples_of(metrics)
    assert samples['bridge_store_errors_total{operation="write"}'] == 1
    assert samples["bridge_store_failing_workers"] == 1
    primary.full = False
    clock.move(COOL_DOWN_SECONDS)
    store.commit({"a": Write(b"1")})
    assert samples_of(metrics)["bridge_store_failing_workers"] == 0


def test_unexpected_errors_of_background_work_are_counted(
    make_bridge: Callable[..., Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = make_bridge()

    def fail(*args: object, **options: object) -> None:
        raise RuntimeError("unexpected")

    parts.periodic.add(fail)
    parts.periodic.run_once()
    [walker] = parts.walkers.values()
    monkeypatch.setattr(walker, "walk", fail)
    rules = parts.router.merge_rules(key(FilterSet()))
    assert rules is not None
    flight = parts.refresher.refresh(key(FilterSet()), rules, None)
    assert flight is not None
    assert flight.wait(20)
    samples = samples_of(parts.metrics)
    for work in ("periodic", "refresh"):
        assert samples[f'bridge_background_errors_total{{work="{work}"}}'] == 1


def test_every_metric_is_documented(
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


class TestMetricsDir:
    def test_one_worker_has_no_directory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(DIR_VARIABLE, raising=False)
        metrics_dir.begin(1)
        assert DIR_VARIABLE not in os.environ

    def test_several_workers_have_a_private_directory_and_a_restart_removes_or_empties_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        directories = []
        for _ in range(2):
            monkeypatch.setenv(DIR_VARIABLE, "")
            metrics_dir.begin(2)
            directories.append(Path(os.environ[DIR_VARIABLE]))
            assert directories[-1].stat().st_mode & 0o777 == 0o700
            (directories[-1] / "counter_1.db").touch()
        assert not directories[0].exists()
        metrics_dir.begin(1)
        assert list(directories[1].iterdir()) == []
        directories[1].rmdir()

    def test_directories_of_servers_that_no_longer_run_are_removed(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv(DIR_VARIABLE, "")
        monkeypatch.setattr(metrics_dir, "_MEMORY", str(tmp_path))
        with subprocess.Popen([sys.executable, "-c", ""]) as ended:
            ended.wait()
        for pid in (ended.pid, os.getppid()):
            (tmp_path / f"bridge-numbers-{pid}-x").mkdir()
        (tmp_path / "somebody-elses").mkdir()
        metrics_dir.begin(1)
        remaining = {path.name for path in tmp_path.iterdir()}
        assert remaining == {"somebody-elses", f"bridge-numbers-{os.getppid()}-x"}

    def test_a_worker_has_the_disk_space_that_it_needs(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """On a full disk, writing to a mapped file without space would kill the process."""
        monkeypatch.setenv(DIR_VARIABLE, str(tmp_path / "removed"))
        metrics_dir.join(0)
        for file in (tmp_path / "removed").iterdir():
            assert file.stat().st_blocks * 512 >= file.stat().st_size >= 512 * 1024

    def test_a_worker_that_has_ended_keeps_its_counts_and_no_unused_space(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv(DIR_VARIABLE, str(tmp_path))
        count = (
            "import os; from bridge.ops import metrics_dir; metrics_dir.join(0)\n"
            "from bridge.ops.metrics import Metrics; Metrics().walk_finished('complete', 1, 3)\n"
            "print(os.getpid())"
        )
        command = [sys.executable, "-c", count]
        for ended in range(2):
            run = subprocess.run(command, cwd=HOME, capture_output=True, check=True)
            metrics_dir.join(0)
            file = tmp_path / f"counter_{int(run.stdout)}.db"
            assert file.stat().st_size < 4096
            assert samples_of(Metrics())["bridge_pages_total"] == 3 * (ended + 1)

    def test_a_worker_whose_id_a_process_of_another_user_has_is_dead(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        def kill(pid: int, signal: int) -> None:
            raise PermissionError

        gauge = tmp_path / "gauge_livesum_12345.db"
        gauge.touch()
        monkeypatch.setenv(DIR_VARIABLE, str(tmp_path))
        monkeypatch.setattr(os, "kill", kill)
        Metrics().exposition()
        assert not gauge.exists()


def test_a_scrape_while_the_first_walk_ends_is_complete(
    make_bridge: Callable[..., Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = make_bridge()
    client = create_app(parts).test_client()
    states = parts.router.states

    def states_before_the_walk() -> list[SourceState]:
        found = states()
        assert client.get("/venues/12.ics").status_code == 200
        return found

    monkeypatch.setattr(parts.router, "states", states_before_the_walk)
    assert "bridge_snapshot_age_seconds" not in samples_of(parts.metrics)
    assert "bridge_snapshot_age_seconds" in samples_of(parts.metrics)
