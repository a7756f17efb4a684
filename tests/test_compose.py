"""The Compose file, and the configuration of Caddy that belongs to it."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from clocks import wait_until
from faults.fleet import Machine, get, stub_upstream
from prometheus import program
from test_deployment import settings
from valkey import free_port

DEPLOY = Path(__file__).parent.parent / "deploy"
FILE = DEPLOY / "compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def test_the_file_follows_the_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run([*command, str(FILE)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_images_of_others_are_pinned_to_a_release() -> None:
    images = {name: service["image"] for name, service in SERVICES.items()}
    assert images.pop("bridge") == "teamup-feed-bridge"
    assert len(images) == 2
    for image in images.values():
        assert re.fullmatch(r"[a-z/]+:\d+\.\d+\.\d+-alpine", image), image


def test_only_the_web_server_is_published_and_only_the_bridge_reaches_the_store() -> None:
    assert {name for name, service in SERVICES.items() if service.get("ports")} == {"caddy"}
    members = {
        network: {name for name, service in SERVICES.items() if network in service["networks"]}
        for network in COMPOSE["networks"]
    }
    assert members == {"web": {"bridge", "caddy"}, "store": {"bridge", "valkey"}}
    assert COMPOSE["networks"]["store"] == {"internal": True}


def test_every_service_is_restarted_checked_and_limited() -> None:
    for name, service in SERVICES.items():
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert service["mem_limit"], name
        assert "no-new-privileges:true" in service["security_opt"], name


def test_secrets_are_files_and_no_secret_is_a_variable() -> None:
    bridge = SERVICES["bridge"]
    assert sorted(bridge["secrets"]) == sorted(COMPOSE["secrets"])
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": f"secrets/{name}"}
    files = {name: path for name, path in bridge["environment"].items() if name.endswith("_FILE")}
    assert sorted(files.values()) == [f"/run/secrets/{name}" for name in sorted(COMPOSE["secrets"])]
    for name, path in files.items():
        assert path.rpartition("/")[2].replace("-", "_").upper() == name.removesuffix("_FILE")
    ignored = (DEPLOY.parent / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"deploy/secrets/", "deploy/bridge.env", ".env"} <= set(ignored)


def test_it_sets_only_existing_variables_and_requires_the_domain() -> None:
    names = {name.removesuffix("_FILE") for name in SERVICES["bridge"]["environment"]}
    assert names <= settings()
    variables = re.findall(r"\$\{(\w+)(:\?)?", FILE.read_text(encoding="utf-8"))
    assert set(variables) == {("DOMAIN", ":?")}


def test_named_volumes_keep_the_store_and_the_certificates() -> None:
    used = {
        volume.partition(":")[0]
        for service in SERVICES.values()
        for volume in service["volumes"]
        if not volume.startswith(".")
    }
    assert used == set(COMPOSE["volumes"])
    assert "valkey:/data" in SERVICES["valkey"]["volumes"]
    assert "caddy-data:/data" in SERVICES["caddy"]["volumes"]


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """The bridge behind Caddy."""
    with stub_upstream() as teamup, Machine(teamup.url, "memory://", TRUSTED_PROXIES="1") as server:
        yield server


def test_the_health_check_of_the_bridge_tells_whether_feeds_can_be_served(machine: Machine) -> None:
    assert machine.get("/venues/11.ics").status == 200
    _, python, *arguments = SERVICES["bridge"]["healthcheck"]["test"]
    assert python == ".venv/bin/python"
    assert ", 8000," in arguments[1]

    def is_healthy(port: int) -> bool:
        command = [argument.replace("8000", str(port)) for argument in arguments]
        checked = subprocess.run([sys.executable, *command], stderr=subprocess.DEVNULL, check=False)
        return checked.returncode == 0

    wait_until(lambda: is_healthy(machine.port), seconds=30)
    assert not is_healthy(free_port())


class Caddy:
    """Caddy on loopback, with the shipped configuration, without TLS.

    Args:
        bridge: the port of the bridge.
        folder: for all files that Caddy writes.
    """

    def __init__(self, bridge: int, folder: Path) -> None:
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._log = folder / "log"
        self._environment = {
            **os.environ,
            "DOMAIN": self.url,
            "BRIDGE": f"127.0.0.1:{bridge}",
            "CADDY_ADMIN": f"127.0.0.1:{free_port()}",
            "HOME": str(folder),
            "XDG_DATA_HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
        }

    def __enter__(self) -> "Caddy":
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    program("caddy"),
                    "run",
                    "--adapter",
                    "caddyfile",
                    "--config",
                    DEPLOY / "Caddyfile",
                ],
                env=self._environment,
                stderr=log,
            )
        wait_until(lambda: "serving initial configuration" in self.logged(), seconds=30)
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait(20)

    def logged(self) -> str:
        assert self._process.poll() is None, "Caddy did not start"
        return self._log.read_text(encoding="utf-8")


def test_caddy_passes_feeds_and_pages_on_and_believes_no_header_of_a_client(
    machine: Machine, tmp_path: Path
) -> None:
    forged = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Port": "666",
        "X-Forwarded-Prefix": "/evil",
        "X-Forwarded-Proto": "https",
    }
    with Caddy(machine.port, tmp_path) as caddy:
        feed = get(f"{caddy.url}/venues/11.ics")
        assert feed.validators == machine.get("/venues/11.ics").validators
        assert "x-accel-expires" not in feed.headers
        page = get(f"{caddy.url}/venues/11", **forged)
        assert page.status == 200
        assert f"{caddy.url}/venues/11" in page.body.decode()
        assert b"evil" not in page.body
        assert b":666/" not in page.body


def test_caddy_logs_no_address_of_a_private_feed_while_the_bridge_is_down(tmp_path: Path) -> None:
    with Caddy(free_port(), tmp_path) as caddy:
        began = time.monotonic()
        assert get(f"{caddy.url}/%70rivate/1canary-secret.ics?a=1", timeout=60).status == 502
        # Requests wait for a bridge that restarts.
        assert time.monotonic() - began > 5
        wait_until(lambda: '"status":502' in caddy.logged())
        assert "canary" not in caddy.logged()
