"""Commands beside a running ``make run``: they use its sandbox, and only while it runs."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from clocks import wait_until
from faults.fleet import get
from valkey import free_port

from bridge import config, local_run
from bridge.sandbox.api import TOKEN

HOME = Path(__file__).parent.parent
PYTHON = Path(sys.executable)
SANDBOX = "this is the sandbox studio of the running `make run`"

Completed = subprocess.CompletedProcess[str]
Run = Callable[..., Completed]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh copy of the project, without any setting."""
    home = tmp_path_factory.mktemp("clone")
    shutil.copy(HOME / "app.py", home)
    shutil.copytree(HOME / "bridge", home / "bridge")
    return home


def environment(**variables: str) -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
    return {**{name: os.environ[name] for name in kept if name in os.environ}, **variables}


@dataclass(frozen=True)
class LocalRun:
    """The server that ``make run`` starts."""

    process: "subprocess.Popen[str]"
    url: str


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[LocalRun]:
    port = str(free_port())
    with subprocess.Popen(
        [PYTHON, "-m", "bridge.server", "--local"],
        cwd=home,
        env=environment(PORT=port),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        server = LocalRun(process, f"http://127.0.0.1:{port}")

        def is_ready() -> bool:
            with suppress(OSError):
                return get(f"{server.url}/readyz").status == 200
            return False

        try:
            wait_until(is_ready)
            yield server
        finally:
            process.terminate()


@pytest.fixture
def run(home: Path) -> Run:
    """Runs a command in the copy, with these environment variables only."""

    def invoke(*arguments: str, **variables: str) -> Completed:
        command = [str(PYTHON.parent / "flask"), "--app", "app", *arguments]
        return execute(command, home, **variables)

    return invoke


def execute(command: list[str], home: Path, **variables: str) -> Completed:
    done = subprocess.run(
        command,
        cwd=home,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    assert TOKEN not in done.stdout + done.stderr
    return done


class TestWhileTheSandboxIsServed:
    def test_check_passes_and_says_that_it_is_the_sandbox(self, server: LocalRun, run: Run) -> None:
        done = run("check")
        assert (done.returncode, done.stderr) == (0, "")
        assert "this is the bundled sandbox studio; set TEAMUP_API_TOKEN" in done.stdout
        assert f"{server.url}/venues/12.ics" in done.stdout

    def test_feed_prints_what_the_server_sends(self, server: LocalRun, run: Run) -> None:
        served = get(f"{server.url}/venues/12.ics?past=0").body
        done = run("feed", "venues/12.ics?past=0")
        assert done.returncode == 0
        assert SANDBOX in done.stderr
        assert done.stdout.encode() == served.replace(b"\r\n", b"\n")
        assert b"BEGIN:VEVENT" in served

    def test_the_commands_of_the_readme_work(self, server: LocalRun, run: Run) -> None:
        readme = (HOME / "README.md").read_text(encoding="utf-8")
        lines = re.findall(r"^    .venv/bin/flask --app app ([^#\n]*)", readme, re.MULTILINE)
        commands = [shlex.split(line) for line in dict.fromkeys(lines)]
        printed = {
            " ".join(arguments): run(*arguments).stdout
            for arguments in commands
            if arguments[0] != "sandbox"
        }
        assert len(printed) > 4
        assert printed["accept"] == "nothing is held\n"
        assert json.loads(printed["check --json"])["healthy"]
        [signed] = [text for command, text in printed.items() if command.startswith("sign")]
        address = server.url + signed.splitlines()[-1]
        assert get(address).status == 200
        assert run("revoke", address).returncode == 0
        [host] = {*re.findall(r"curl '?(http://[^/]*)", readme)}
        for path in re.findall(rf"curl '?{host}([^'\n]*)", readme):
            assert get(server.url + path).status == 200

    def test_a_server_without_a_token_does_not_start(self, server: LocalRun, home: Path) -> None:
        done = execute([str(PYTHON), "-m", "bridge.server"], home, PORT=str(free_port()))
        assert done.returncode == 1
        assert "TEAMUP_API_TOKEN: is not set" in done.stderr
        assert "sandbox" not in done.stderr

    def test_after_it_has_ended_the_missing_token_is_an_error(
        self, server: LocalRun, home: Path, run: Run
    ) -> None:
        server.process.terminate()
        server.process.wait()
        assert (home / "var" / "sandbox.json").exists()
        done = run("check")
        assert done.returncode == 1
        assert "TEAMUP_API_TOKEN: is not set" in done.stdout
        assert "sandbox" not in done.stdout


class TestShare:
    SETTINGS: ClassVar = {"TEAMUP_API_TOKEN": "of-the-sandbox", "PORT": "8123"}

    @pytest.fixture(autouse=True)
    @staticmethod
    def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The shared file; the environment has no setting."""
        monkeypatch.setattr(os, "environ", {})
        monkeypatch.setattr(config, "__file__", str(tmp_path / "bridge" / "config.py"))
        path = tmp_path / "var" / "sandbox.json"
        monkeypatch.setattr(local_run, "FILE", path)
        return path

    @staticmethod
    def environment() -> dict[str, str]:
        return {name: text for name, text in os.environ.items() if "PYTEST" not in name}

    @pytest.fixture
    def shared(self, file: Path) -> Iterator[Path]:
        lock = local_run.share(self.SETTINGS)
        assert lock is not None
        with lock:
            yield file

    def test_a_command_adopts_the_settings(self, shared: Path) -> None:
        local_run.adopt()
        assert self.environment() == self.SETTINGS

    def test_only_the_owner_can_read_the_file(self, shared: Path) -> None:
        assert (shared.stat().st_mode & 0o777, shared.parent.stat().st_mode & 0o777) == (
            0o600,
            0o700,
        )

    def test_a_second_server_leaves_the_settings_of_the_first(self, shared: Path) -> None:
        assert local_run.share({"PORT": "8124"}) is None
        local_run.adopt()
        assert self.environment() == self.SETTINGS

    def test_the_next_server_replaces_the_settings(self, file: Path) -> None:
        for settings in (self.SETTINGS, {"PORT": "8124"}):
            lock = local_run.share(settings)
            assert lock is not None
            with lock:
                assert json.loads(file.read_text(encoding="utf-8")) == settings

    @pytest.mark.parametrize("content", [None, "", "{", '{"PORT": "1"}'])
    def test_a_file_that_nobody_locks_is_ignored(self, file: Path, content: str | None) -> None:
        if content is not None:
            file.parent.mkdir()
            file.write_text(content, encoding="utf-8")
        local_run.adopt()
        assert self.environment() == {}

    @pytest.mark.parametrize(
        "own",
        [
            {"TEAMUP_API_TOKEN": "my-own"},
            {"TEAMUP_AUTH_SCHEME": "None"},
            {"CACHE_URL": "memory://"},
            {"REDIS_URL": "redis://127.0.0.1"},
        ],
        ids=lambda own: next(iter(own)),
    )
    def test_a_command_with_an_account_or_store_does_not_adopt_them(
        self, shared: Path, own: dict[str, str]
    ) -> None:
        os.environ |= own
        local_run.adopt()
        assert self.environment() == own

    def test_a_server_with_another_store_does_not_share(self, file: Path) -> None:
        os.environ["CACHE_URL"] = "memory://"
        assert local_run.share(self.SETTINGS) is None
        assert not file.exists()

    def test_where_no_file_can_be_written_a_server_does_not_share(self, file: Path) -> None:
        file.parent.touch()
        assert local_run.share(self.SETTINGS) is None
