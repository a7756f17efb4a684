"""Probes, robots.txt and the operator's routes."""

import threading

import pytest

from bridge.store.memory import MemoryStore


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_are_plain_text_that_nobody_stores(site, path):
    response = site.get(path)
    assert response.status_code == (200 if path == "/healthz" else 503)
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_liveness_does_not_depend_on_upstream(site_of, upstream):
    upstream.stop()
    assert site_of().get("/healthz").status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/robots.txt"])
def test_probes_send_no_request_to_upstream(client, upstream, path):
    client.get(path)
    assert upstream.requests == []


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/robots.txt"])
def test_head_has_the_same_headers_without_a_body(site, path):
    get, head = site.get(path), site.head(path)
    assert head.status_code == get.status_code == (503 if path == "/readyz" else 200)
    assert head.data == b""
    assert head.headers["Content-Length"] == str(len(get.data))


def test_robots_may_fetch_everything(site):
    response = site.get("/robots.txt")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    rules = [line.partition(":") for line in response.text.splitlines() if line]
    assert ("User-agent", "*") in [(name, value.strip()) for name, _, value in rules]
    assert not any(name.lower() == "disallow" and value.strip() for name, _, value in rules)


@pytest.mark.parametrize("path", ["/metrics", "/status"])
@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp4"}],
    ids=["nothing", "bearer", "basic"],
)
def test_operator_routes_are_404_if_no_token_is_set(site, path, headers):
    response = site.get(path, headers=headers)
    assert response.status_code == 404
    assert response.data.replace(path.encode(), b"") == site.get("/nowhere").data.replace(
        b"/nowhere", b""
    )
    assert "WWW-Authenticate" not in response.headers


def test_a_worker_reads_its_store_before_the_first_request(make_bridge, clock):
    read = threading.Event()

    class Watched(MemoryStore):
        def versions(self, keys):
            read.set()
            return super().versions(keys)

    make_bridge(store=Watched(clock), refresh_ahead=False).start()
    # The first periodic run, which reads the store as well, is later.
    assert read.wait(10)
