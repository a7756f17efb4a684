"""Two server processes: leaks, refused requests, revoked feeds and replaced signing keys."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from clocks import wait_until
from faults.fleet import HOME, HttpResponse, Machine, running
from security import canaries, studios
from upstreams.raw import RawUpstream
from valkey import Valkey

SIZE = 100_000
AT_ONCE = 0.050
FEED = "/venues/11.ics"
VARYING_HEADERS = frozenset(("date", "x-request-id"))


@pytest.fixture(scope="module")
def fleet() -> Iterator[Any]:
    """Two machines with canaries in all settings, which share a store with a password."""
    now = datetime.now(UTC).replace(microsecond=0)
    store = Valkey("--requirepass", canaries.PASSWORD)
    secrets = {
        "TEAMUP_API_TOKEN": canaries.TOKEN,
        "TEAMUP_SOURCES": "events,course_sessions",
        "FEED_SIGNING_KEYS": ",".join(canaries.KEYS),
        "OPERATOR_TOKEN": canaries.OPERATOR,
        "ALERT_URL": f"http://127.0.0.1:9/{canaries.WEBHOOK}",
        "CHANGES_URL": f"http://127.0.0.1:9/{canaries.WEBHOOK}",
        "CHANGES_KEY": canaries.CHANGES_KEY,
        "LOG_LEVEL": "debug",
        "LOG_REQUESTS": "all",
    }
    url = store.url.replace("//", f"//:{canaries.PASSWORD}@")
    with RawUpstream(studios.healthy(studios.all_rows(now))) as teamup:
        machines = (
            Machine(teamup.url, url, **secrets, LOG_FORMAT="json"),
            Machine(teamup.url, url, **secrets, LOG_FORMAT="console"),
        )
        environment = {**os.environ, **secrets, "TEAMUP_BASE_URL": teamup.url, "CACHE_URL": url}
        with running(*machines):
            yield SimpleNamespace(machines=machines, environment=environment, store=store)
    store.kill()


def flask(fleet: Any, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a CLI command; fails on a canary or a traceback in its output."""
    program = str(Path(sys.executable).parent / "flask")
    done = subprocess.run(
        [program, "--app", "app", *arguments],
        env=fleet.environment,
        cwd=HOME,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not canaries.leaks(done.stdout + done.stderr)
    assert "Traceback" not in done.stderr
    return done


def test_both_machines_answer_404_for_a_revoked_feed_within_a_minute(fleet: Any) -> None:
    everything = ("--visibility", "public,membership_holders,private", "--counts", "--join-links")
    address = flask(fleet, "sign", "sessions.ics", *everything).stdout.split()[-1]
    for machine in fleet.machines:
        wait_until(lambda machine=machine: machine.get(address).status == 200)
        leaked = canaries.leaks(machine.get(address).body)
        assert {"members", "private", "count", "join"} == leaked
    revoked = flask(fleet, "revoke", address)
    began = time.monotonic()
    assert revoked.returncode == 0, revoked.stderr
    assert re.fullmatch("FEED_REVOKED=[0-9a-f]{16}\n", revoked.stdout)
    for machine in fleet.machines:
        wait_until(lambda machine=machine: machine.get(address).status == 404, seconds=60)
    assert time.monotonic() - began < 60
    unknown = fleet.machines[0].get("/private/x.ics")
    assert all(machine.get(address).body == unknown.body for machine in fleet.machines)
    token = address.removeprefix("/private/").removesuffix(".ics")
    for machine in fleet.machines:
        assert token[:50] not in "\n".join(machine.log)


def test_feeds_work_during_a_key_rotation_until_their_key_is_removed(tmp_path: Path) -> None:
    new, old = canaries.KEYS
    now = datetime.now(UTC).replace(microsecond=0)
    with RawUpstream(studios.healthy(studios.all_rows(now))) as teamup:

        def with_keys(keys: str) -> Machine:
            """A machine with these signing keys."""
            store = f"sqlite:///{tmp_path}/bridge.sqlite3"
            return Machine(teamup.url, store, FEED_SIGNING_KEYS=keys)

        def sign(machine: Machine) -> str:
            result = flask(machine, "sign", "sessions.ics", "--visibility", "private")
            return result.stdout.split()[-1]

        with with_keys(old) as machine:
            first = sign(machine)
            assert machine.get(first).status == 200
            body = machine.get(first).body
            machine.stop()
        with with_keys(f"{new},{old}") as machine:
            assert machine.get(first).status == 200
            assert machine.get(first).body == body
            second = sign(machine)
            assert machine.get(second).status == 200
            machine.stop()
        with with_keys(new) as machine:
            assert machine.get(second).status == 200
            assert comparable(machine.get(first)) == comparable(machine.get("/private/x.ics"))
            assert machine.get(first).status == 404
            machine.stop()


def comparable(response: HttpResponse) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers, without headers that differ between all responses."""
    headers = {n: value for n, value in response.headers.items() if n not in VARYING_HEADERS}
    return response.status, response.body, headers


MALFORMED = {
    "a path": b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * SIZE),
    "a feed's slug": b"GET /venues/11-%s.ics HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * SIZE),
    "a private address": b"GET /private/1%s.ics HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * SIZE),
    "a query": b"GET %s?venues=%s HTTP/1.1\r\nHost: x\r\n\r\n" % (FEED.encode(), b"1," * 50_000),
    "a path within what the server takes": b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 60_000),
    "a header": b"GET %s HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n" % (FEED.encode(), b"a" * SIZE),
    "a cookie": b"GET / HTTP/1.1\r\nHost: x\r\nCookie: %s\r\n\r\n" % (b"a=1;" * 25_000),
    "a host": b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % (b"a" * SIZE),
    "a header's name": b"GET / HTTP/1.1\r\nHost: x\r\n%s: 1\r\n\r\n" % (b"a" * SIZE),
    "many headers": b"GET / HTTP/1.1\r\nHost: x\r\n%s\r\n" % (b"X: 1\r\n" * (SIZE // 6)),
    "a method": b"%s / HTTP/1.1\r\nHost: x\r\n\r\n" % (b"A" * SIZE),
    "a version": b"GET / HTTP/1.1%s\r\nHost: x\r\n\r\n" % (b"1" * SIZE),
    "noise": b"\x16\x03\x01" + bytes(range(256)) * 400,
    "a zero in a path": b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\nHost: x\r\nX: 1\r\n Y: 2\r\n\r\n",
}


def exchange(machine: Machine, request: bytes) -> tuple[bytes, float]:
    """Send the raw bytes *request*; return the response and the seconds."""
    with socket.create_connection(("127.0.0.1", machine.port), timeout=10) as connection:
        began = time.perf_counter()
        try:
            connection.sendall(request)
            answer = connection.recv(65_536)
        except ConnectionError:
            answer = b""
        return answer, time.perf_counter() - began


@pytest.mark.parametrize("kind", MALFORMED)
def test_oversize_and_malformed_requests_are_refused_in_under_50_ms(fleet: Any, kind: str) -> None:
    machine = fleet.machines[0]
    machine.get("/nowhere")
    tries = [exchange(machine, MALFORMED[kind]) for _ in range(5)]
    for answer, _ in tries:
        assert re.match(rb"HTTP/1\.[01] 4\d\d ", answer), answer[:200]
        assert not canaries.leaks(answer)
    # The fastest counts: the others may have been slowed down by other processes.
    assert min(took for _, took in tries) < AT_ONCE


def test_logs_processes_and_responses_contain_no_secret(fleet: Any) -> None:
    credentials = {"Authorization": f"Bearer {canaries.OPERATOR}"}
    fleet.store.pause()
    machine = fleet.machines[0]
    for path in ("/", FEED, "/nowhere", "/private/1x.ics", "/sessions?venues=x", "/venues/16.json"):
        answer = machine.get(path, **{"Accept-Encoding": "gzip"})
        assert not canaries.leaks(answer.body)
        assert not canaries.leaks(str(answer.headers))
    fleet.store.resume()
    for machine in fleet.machines:
        for path in ("/status", "/metrics"):
            answer = machine.get(path, **credentials)
            assert answer.status == 200
            assert not canaries.leaks(answer.body)
        for pid in (machine.pid, *machine.workers()):
            assert not canaries.leaks(Path(f"/proc/{pid}/cmdline").read_bytes())
        assert any("request" in line for line in machine.log)
        assert not canaries.leaks("\n".join(machine.log))


def test_commands_do_not_print_a_refused_password(fleet: Any) -> None:
    wrong = fleet.environment["CACHE_URL"].replace(canaries.PASSWORD, "canary-password-wrong")
    misconfigured = SimpleNamespace(environment={**fleet.environment, "CACHE_URL": wrong})
    flask(misconfigured, "check", "--json")
    flask(misconfigured, "feed", "venues/11.ics")
