"""What machines that look after the bridge ask for."""

import threading

import pytest

from bridge.store.memory import MemoryStore


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_it_is_alive_and_ready(site, path):
    response = site.get(path)
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_an_upstream_that_is_down_changes_nothing_about_it(site_of, upstream, path):
    upstream.stop()
    client = site_of()
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/robots.txt"])
def test_looking_costs_no_call_upstream(client, upstream, path):
    client.get(path)
    assert upstream.requests == []


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/robots.txt"])
def test_head_works_where_get_does(site, path):
    got, headed = site.get(path), site.head(path)
    assert headed.status_code == got.status_code == 200
    assert headed.data == b""
    assert headed.headers["Content-Length"] == str(len(got.data))


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
def test_the_operators_pages_are_not_there_without_a_token_for_them(site, path, headers):
    response = site.get(path, headers=headers)
    assert response.status_code == 404
    assert response.data.replace(path.encode(), b"") == site.get("/nowhere").data.replace(
        b"/nowhere", b""
    )
    assert "WWW-Authenticate" not in response.headers


def test_a_worker_has_looked_into_its_store_before_anybody_asks(make_bridge, clock):
    looked = threading.Event()

    class Watched(MemoryStore):
        def versions(self, keys):
            looked.set()
            return super().versions(keys)

    make_bridge(store=Watched(clock), refresh_ahead=False).start()
    # the first round, which looks as well, is later than that
    assert looked.wait(10)
