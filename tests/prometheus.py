"""Runs a real Prometheus and promtool."""

import json
import os
import shutil
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Self

import pytest
import yaml
from clocks import wait_until
from valkey import free_port


def program(name: str) -> str:
    """The path of *name*; skips the test where it is not installed."""
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if path is not None:
        return path
    pytest.skip(f"{name} is missing: `make test-deps` installs it")


class Prometheus:
    """A Prometheus server on loopback.

    Args:
        scrape: one scrape configuration.
        rules: a file with rules.
        folder: for all files that it writes.
    """

    def __init__(self, scrape: dict[str, Any], rules: Path, folder: Path) -> None:
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        file = folder / "prometheus.yml"
        intervals = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        file.write_text(
            yaml.safe_dump(
                {"global": intervals, "rule_files": [str(rules)], "scrape_configs": [scrape]}
            ),
            encoding="utf-8",
        )
        self._command = [
            program("prometheus"),
            f"--config.file={file}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        wait_until(self._is_ready, seconds=30, why="Prometheus does not start")
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait(10)

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, "Prometheus did not start"
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that *expression* returns now."""
        result: list[dict[str, Any]] = self._get("query", query=expression)["result"]
        return result

    def rules(self) -> list[dict[str, Any]]:
        """The state of all rules."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, path: str, **parameters: str) -> dict[str, Any]:
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self._url}/api/v1/{path}?{query}", timeout=20) as response:
            answer = json.load(response)
        data: dict[str, Any] = answer["data"]
        return data
