"""Prometheus' alerts and Grafana's dashboard: all that they query exists in the real metrics."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from clocks import wait_until
from faults.fleet import Machine, stub_upstream
from prometheus import Prometheus, program

HOME = Path(__file__).parent.parent
RULES = HOME / "deploy" / "prometheus-rules.yml"
DASHBOARD = HOME / "deploy" / "grafana-dashboard.json"
OPERATIONS = (HOME / "docs" / "operations.md").read_text(encoding="utf-8")
OPERATOR = "the operator's token"
OF_PROMETHEUS = {"job", "instance"}
"""Labels that Prometheus adds."""
OF_STUDIOS = {"studio"}
"""The label that is only there with STUDIOS."""
VALUES = {"$__rate_interval": "1m", "$job": ".*", "$instance": ".*", "$studio": ".*"}
"""What Grafana puts into queries."""

_LABELS = re.compile(r"(?:by|on|without|ignoring) \(([^)]*)\)")
_SELECTOR = re.compile(r"\b(up|bridge_\w+)(?:\{([^}]*)\})?")


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    every = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [panel for panel in every if panel["type"] != "row"]


def of_grafana(expression: str) -> str:
    """*expression* as Grafana sends it to Prometheus."""
    for name, value in VALUES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    return expression


@dataclass(frozen=True)
class Query:
    """A query, with the name of its alert or panel.

    Attributes:
        shown: the labels that the legend or the texts show.
    """

    name: str
    expression: str
    shown: frozenset[str]

    @property
    def selectors(self) -> list[tuple[str, set[str]]]:
        """The names of metrics, and the labels that select their series."""
        return [
            (name, set(re.findall(r"(\w+)(?:=~|!~|!=|=)", matchers)))
            for name, matchers in _SELECTOR.findall(self.expression)
        ]

    @property
    def labels(self) -> set[str]:
        """All labels that the query or the text of its panel or alert uses."""
        lists = _LABELS.findall(self.expression)
        return {label.strip() for names in lists for label in names.split(",")} | self.shown


def queries() -> list[Query]:
    found = [
        Query(
            rule["alert"],
            rule["expr"],
            frozenset(re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))),
        )
        for rule in alerts()
    ]
    found += [
        Query(
            panel["title"],
            of_grafana(target["expr"]),
            frozenset(re.findall(r"{{(\w+)}}", target["legendFormat"])),
        )
        for panel in panels()
        for target in panel["targets"]
    ]
    return found


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A bridge whose timetable has a row that it drops, and one that it repairs."""
    store = f"sqlite:///{tmp_path_factory.mktemp('store')}/store.sqlite3"
    with (
        stub_upstream() as teamup,
        Machine(
            teamup.url,
            store,
            OPERATOR_TOKEN=OPERATOR,
            # Nobody accepts messages there.
            ALERT_URL="http://127.0.0.1:1/",
        ) as server,
    ):
        dropped, repaired, *rows = teamup.rows
        teamup.rows = [
            {**dropped, "starts_at": "soon"},
            {**repaired, "ends_at": repaired["starts_at"]},
            *rows,
        ]
        yield server


def request_something(machine: Machine) -> None:
    for path in ("/venues/11.ics", "/venues/11"):
        assert machine.get(path).status == 200
    wait_until(lambda: machine.get("/readyz").status == 200)
    assert machine.get("/venues/11.ics?past=x").status == 400


@pytest.fixture(scope="module")
def exposition(machine: Machine) -> str:
    """The metrics of the bridge."""
    request_something(machine)
    response = machine.get("/metrics", Authorization=f"Bearer {OPERATOR}")
    assert response.status == 200
    return response.body.decode()


@pytest.fixture(scope="module")
def series(exposition: str) -> dict[str, set[str]]:
    """The names of all metrics → the labels of their series; none if there is no series yet."""
    found: dict[str, set[str]] = {
        name: set() for name in re.findall(r"^# TYPE (\w+)", exposition, re.MULTILINE)
    }
    for name, labels in re.findall(r"^(bridge_\w+)(?:\{(.*)\})? \S+$", exposition, re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    # Metrics without a series have the labels in the documentation.
    for name, labels in re.findall(r"`(bridge_\w+)\{([\w,]+)\}`", OPERATIONS):
        if name in found and not found[name]:
            found[name] = set(labels.split(","))
    return found


def test_every_metric_and_label_of_a_query_exists(series: dict[str, set[str]]) -> None:
    assert len(queries()) > 40
    for query in queries():
        known = set(OF_PROMETHEUS) | OF_STUDIOS
        for name, labels in query.selectors:
            assert name == "up" or name in series, query
            own = series.get(name, set())
            assert labels <= own | OF_PROMETHEUS | OF_STUDIOS, query
            known |= own
        assert query.labels <= known, query


def test_prometheus_accepts_the_rules() -> None:
    subprocess.run([program("promtool"), "check", "rules", str(RULES)], check=True)


def test_alerts_fire_when_they_should_and_only_then() -> None:
    tests = HOME / "tests" / "prometheus-rules-test.yml"
    subprocess.run([program("promtool"), "test", "rules", str(tests)], check=True)
    tested = tests.read_text(encoding="utf-8")
    assert [rule["alert"] for rule in alerts() if f'"{rule["alert"]}"' not in tested] == []


def test_the_metrics_follow_the_conventions_of_prometheus(exposition: str) -> None:
    checked = subprocess.run(
        [program("promtool"), "check", "metrics"],
        input=exposition,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.stderr == ""
    assert checked.returncode == 0


def scrape_config(machine: Machine) -> dict[str, Any]:
    """The scrape configuration of docs/operations.md, for *machine*."""
    [block] = re.findall(r"```yaml\n(scrape_configs:\n.*?)```", OPERATIONS, re.DOTALL)
    [config] = yaml.safe_load(block)["scrape_configs"]
    assert config["scheme"] == "https"
    assert config["authorization"] == {"credentials": OPERATOR}
    target = machine.url.removeprefix("http://")
    return {**config, "scheme": "http", "static_configs": [{"targets": [target]}]}


def test_prometheus_answers_every_query(
    machine: Machine, series: dict[str, set[str]], exposition: str, tmp_path: Path
) -> None:
    with Prometheus(scrape_config(machine), RULES, tmp_path) as prometheus:

        def is_scraped() -> bool:
            request_something(machine)
            # Rates need two scrapes.
            counts = prometheus.query("count_over_time(bridge_build_info[1m])")
            return bool(counts) and float(counts[0]["value"][1]) >= 3

        wait_until(is_scraped, seconds=30, why="the bridge is not scraped")
        wait_until(
            lambda: all(rule["health"] == "ok" for rule in prometheus.rules()),
            seconds=30,
            why="a rule cannot be evaluated",
        )
        assert {rule["name"] for rule in prometheus.rules() if rule["state"] == "firing"} == set()
        for panel in panels():
            for target in panel["targets"]:
                expression = of_grafana(target["expr"])
                names = [
                    name for name, _ in Query(panel["title"], expression, frozenset()).selectors
                ]
                has_series = all(re.search(f"^{name}[{{ ]", exposition, re.M) for name in names)
                found = prometheus.query(expression)
                assert found or (not has_series and names != ["up"]), expression


def test_every_alert_says_what_to_do_and_links_its_runbook() -> None:
    anchors = {heading.lower() for heading in re.findall(r"^### (.+)$", OPERATIONS, re.MULTILINE)}
    for rule in alerts():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert len(rule["annotations"]["description"]) > 80
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert page == "docs/operations.md"
        assert anchor == rule["alert"].lower()
        assert anchor in anchors


def test_every_panel_of_the_dashboard_has_its_place_and_uses_the_chosen_data_source() -> None:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert variables == {"datasource", "job", "instance", "studio"}
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    source = {"type": "prometheus", "uid": "${datasource}"}
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + column, place["y"] + line)
            for column in range(place["w"])
            for line in range(place["h"])
        }
        assert max(column for column, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
    for panel in panels():
        assert panel["datasource"] == source
        assert [target["datasource"] for target in panel["targets"]] == [source] * len(
            panel["targets"]
        )
