"""The commands of a deployment of several studios."""

import json
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from several_studios.conftest import SLUGS, Deploy, Deployment, canary

from bridge.ops.log_stream import STDERR

Run = Callable[..., Result]


@pytest.fixture
def bridge(deploy: Deploy) -> Deployment:
    return deploy(PUBLIC_BASE_URL="https://calendars.example")


@pytest.fixture
def run(bridge: Deployment) -> Run:
    return lambda *arguments: bridge.app.test_cli_runner().invoke(args=arguments)


@pytest.mark.parametrize("slug", SLUGS)
def test_feed_prints_the_feed_of_the_studio(
    run: Run, slug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(STDERR, "write", lambda text: lines.append(text) or len(text))
    result = run("feed", "--studio", slug, "venues/12.ics")
    assert result.exit_code == 0, result.stderr
    assert canary(slug) in result.stdout
    assert not any(canary(other) in result.stdout for other in SLUGS if other != slug)
    published = [row for row in map(json.loads, lines) if row["event"] == "published"]
    assert {row["studio"] for row in published} == {slug}


def test_a_signed_address_is_that_of_the_studio_and_can_be_revoked(
    bridge: Deployment, run: Run
) -> None:
    result = run("sign", "--studio", "riverside", "venues/12.ics")
    address = result.stdout.splitlines()[-1]
    assert address.startswith("https://calendars.example/s/riverside/private/1")
    path = address.removeprefix("https://calendars.example")
    assert bridge.get(path).status_code == 200
    private = bridge.site("riverside").services.private
    token = path.rpartition("/")[2].removesuffix(".ics")
    private.revoke(str(private.decode(token).audience.private))
    assert bridge.get(path + "?_=1").status_code == 404


@pytest.mark.parametrize("hosts", [[], ["classes.riverside.example"]], ids=str)
def test_without_a_public_address_signed_paths_lead_to_the_studio(
    deploy: Deploy, hosts: list[str]
) -> None:
    bridge = deploy({"riverside": {"hosts": hosts}})
    arguments = ("sign", "--studio", "riverside", "venues/12.ics")
    result = bridge.app.test_cli_runner().invoke(args=arguments)
    path = result.stdout.splitlines()[-1]
    assert bridge.get(path, *hosts).status_code == 200


def test_check_prints_addresses_at_which_the_feeds_of_the_studio_are(deploy: Deploy) -> None:
    arguments = ("check", "--json", "--studio", "riverside")
    result = deploy(PORT="8321").app.test_cli_runner().invoke(args=arguments)
    [report] = json.loads(result.stdout)["studios"].values()
    addresses = report["feeds"].values()
    assert all(url.startswith("http://127.0.0.1:8321/s/riverside/") for url in addresses)


def test_revoke_prints_the_line_for_the_table_of_the_studio(deploy: Deploy) -> None:
    tables = {"riverside": {"feed_revoked": ["0" * 16]}}
    bridge = deploy(tables)
    arguments = ("revoke", "--studio", "riverside", "f" * 16)
    result = bridge.app.test_cli_runner().invoke(args=arguments)
    assert result.stdout == f'feed_revoked = ["{"0" * 16}", "{"f" * 16}"]\n'
    assert "set the line above in the table of riverside" in result.stderr
    revoked = tomllib.loads(result.stdout)
    after = deploy({"riverside": revoked}).site("riverside").services.config.revoked
    assert after == {"0" * 16, "f" * 16}


@pytest.mark.parametrize(
    "arguments",
    [
        ("feed", "venues/12.ics"),
        ("sign", "venues/12.ics"),
        ("revoke", "0123456789abcdef"),
        ("accept",),
        ("feed", "--studio", "none", "venues/12.ics"),
    ],
)
def test_a_command_without_its_studio_lists_the_studios(
    run: Run, arguments: tuple[str, ...]
) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert "give --studio with one of riverside, old-chapel" in result.stderr
    assert "Traceback" not in result.stderr


def test_check_reports_each_studio(run: Run, bridge: Deployment) -> None:
    bridge.faults["old-chapel"].set("status", 401)
    result = run("check", "--json")
    report: dict[str, Any] = json.loads(result.stdout)
    healthy = {slug: found["healthy"] for slug, found in report["studios"].items()}
    assert healthy == {"riverside": True, "old-chapel": False}
    assert result.exit_code == 1
    assert canary("old-chapel") not in json.dumps(report["studios"]["riverside"])
    alone = run("check", "--studio", "riverside")
    assert alone.exit_code == 0, alone.stdout
    assert alone.stdout.startswith("riverside:\n")
    unknown = run("check", "--studio", "none")
    assert unknown.exit_code == 1
    assert (
        "there is no studio 'none'; accepted by --studio: riverside, old-chapel" in unknown.stdout
    )
