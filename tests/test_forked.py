"""Servers that load the application in one process and fork others, as ``gunicorn --preload``."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from faults.fleet import HOME, TOKEN, stub_upstream
from upstreams.tested_list import TESTED_LIST

SERVER = """
import json, os, signal, threading, time
from app import app

def serve(write):
    signal.alarm(300)  # without its threads a fork may wait for ever
    client = app.test_client()
    while (ready := client.get("/readyz").status_code) != 200:
        time.sleep(0.02)
    feed = client.get("/venues/1.ics")
    threads = sorted({thread.name for thread in threading.enumerate()})
    os.write(write, json.dumps([ready, feed.status_code, threads]).encode() + b"\\n")

read, write = os.pipe()
print(json.dumps([thread.name for thread in threading.enumerate()]), flush=True)
children = []
for _ in range(2):
    if (child := os.fork()) == 0:
        try:
            serve(write)
        finally:
            os._exit(0)
    children.append(child)
os.close(write)
for child in children:
    os.waitpid(child, 0)
print(os.read(read, 10_000).decode(), flush=True)
"""


def test_forks_of_a_process_that_has_loaded_the_application_serve_and_refresh(
    tmp_path: Path,
) -> None:
    with stub_upstream() as upstream:
        done = subprocess.run(
            [sys.executable, "-c", SERVER],
            cwd=HOME,
            env={
                **os.environ,
                "TEAMUP_API_TOKEN": TOKEN,
                "TEAMUP_AUTH_SCHEME": "Bearer",
                "TEAMUP_BASE_URL": upstream.url,
                "TEAMUP_SOURCES": TESTED_LIST.value,
                "CACHE_URL": f"sqlite:///{tmp_path}/store.sqlite3",
            },
            capture_output=True,
            text=True,
            check=True,
            timeout=600,
        )
        walks = Counter(upstream.pages())
    lines = [json.loads(line) for line in done.stdout.splitlines() if line]
    loaded, *children = lines
    assert loaded == ["MainThread"]
    assert len(children) == 2
    for ready, feed, threads in children:
        assert (ready, feed) == (200, 200)
        assert {"prefetch", "periodic", "readiness"} <= set(threads)
    assert set(walks.values()) == {1}
