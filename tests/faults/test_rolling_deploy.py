"""A rolling deploy: a new machine replaces the old one only once it can serve feeds."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clocks import wait_until
from faults.fleet import TOKEN, Machine, stub_upstream

from bridge.errors import UNREACHABLE

FEED = "/venues/1.ics"
OPERATOR = "operators-token"
DOCS = Path(__file__).parents[2] / "docs" / "deploy.md"


def becomes_ready(machine: Machine, *, seconds: int) -> bool:
    """Wait for a machine with the command of docs/deploy.md; whether it became ready."""
    lines = DOCS.read_text(encoding="utf-8").splitlines()
    [line] = [line.strip() for line in lines if "/readyz; do" in line]
    command = line.replace("http://10.0.0.1:8000", machine.url)
    command = command.replace("timeout 60 ", f"timeout {seconds} ")
    assert machine.url in command
    assert f"timeout {seconds} " in command
    return subprocess.run(command, shell=True, capture_output=True, check=False).returncode == 0


def deploy(rotation: list[Machine], new: Machine, *, seconds: int) -> None:
    """Start *new*, and let it replace the machine in *rotation* if it becomes ready."""
    new.launch()
    if becomes_ready(new, seconds=seconds):
        [old] = rotation
        rotation[:] = [new]
        old.stop()


@contextmanager
def killed_at_the_end(*machines: Machine) -> Iterator[None]:
    try:
        yield
    finally:
        for machine in machines:
            machine.kill()


def refused(machine: Machine) -> bool:
    """Whether the machine has found out that TeamUp refuses it."""
    with suppress(OSError):
        return UNREACHABLE.encode() in machine.get("/readyz").body
    return False


def test_a_machine_with_a_wrong_token_never_replaces_the_good_one(tmp_path: Path) -> None:
    with stub_upstream() as upstream:

        def machine(name: str, token: str) -> Machine:
            store = f"sqlite:///{tmp_path}/{name}.sqlite3"
            return Machine(upstream.url, store, TEAMUP_API_TOKEN=token, OPERATOR_TOKEN=OPERATOR)

        good, bad, better = machine("1", TOKEN), machine("2", "wrong"), machine("3", TOKEN)
        with killed_at_the_end(good, bad, better):
            good.launch()
            assert becomes_ready(good, seconds=60)
            rotation = [good]

            deploy(rotation, bad, seconds=3)
            assert rotation == [good]
            wait_until(lambda: refused(bad))
            assert not becomes_ready(bad, seconds=2)
            assert bad.get(FEED).status == 503
            cause = bad.get("/readyz", Authorization=f"Bearer {OPERATOR}").body
            assert b"TEAMUP_API_TOKEN" in cause
            assert good.get(FEED).status == 200
            bad.kill()

            deploy(rotation, better, seconds=60)
            assert rotation == [better]
            assert better.get(FEED).status == 200
            assert not good.running
