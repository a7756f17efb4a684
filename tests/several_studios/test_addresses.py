"""At which addresses studios are found, and that the links of their pages stay there."""

import re
from html import unescape
from itertools import product

import pytest
from several_studios.conftest import SLUGS, Deploy, Deployment, canary

from bridge.web.sites import Site, Sites

HOSTS = {"riverside": {"hosts": ["Classes.Riverside.example", "www.riverside.example"]}}


@pytest.fixture(scope="module")
def bridge(deploy_shared: Deploy) -> Deployment:
    return deploy_shared(HOSTS, LOG_LEVEL="warning")


@pytest.mark.parametrize("slug", SLUGS)
@pytest.mark.parametrize(
    "path", ["/venues/12.ics", "/venues/12", "/", "", "/catalogue.json", "/embed/venues/12"]
)
def test_each_studio_is_below_its_slug(bridge: Deployment, slug: str, path: str) -> None:
    # The second time it comes from the response cache.
    for _ in range(2):
        response = bridge.get(f"/s/{slug}{path}")
        assert response.status_code == 200
        text = response.data.decode()
        assert canary(slug) in text
        assert not any(canary(other) in text for other in SLUGS if other != slug)


def test_a_studio_has_no_second_spelling_of_its_paths(bridge: Deployment) -> None:
    for path in ("/s/riverside//venues/12.ics", "/s/riverside//", "/s/riverside//healthz"):
        assert bridge.get(path).status_code == 404


@pytest.mark.parametrize(
    "host",
    ["classes.riverside.example", "WWW.Riverside.Example:8443", "classes.riverside.example."],
)
def test_a_studio_with_hosts_is_there_alone(bridge: Deployment, host: str) -> None:
    for _ in range(2):
        response = bridge.get("/venues/12.ics", host)
        assert response.status_code == 200
        assert canary("riverside").encode() in response.data
    for path in ("/s/old-chapel/venues/12.ics", "/s/riverside/venues/12.ics", "/s/old-chapel"):
        assert bridge.get(path, host).status_code == 404


@pytest.mark.parametrize(
    "path",
    "/ /venues/12.ics /s /s/ /s// /s/none/ /s/none/venues/12.ics /sessions /status"
    " /s/Riverside/venues/12.ics /s/riverside.ics //s/riverside/ //metrics".split(),
)
def test_elsewhere_nothing_is_found_and_no_studio_is_named(bridge: Deployment, path: str) -> None:
    response = bridge.get(path)
    assert response.status_code == 404
    assert response.headers["Cache-Control"] == "no-store"
    assert response.data == b"Nothing was found at this address.\n"


def test_the_host_is_that_of_trusted_proxies_only(deploy: Deploy) -> None:
    forwarded = {"X-Forwarded-Host": "classes.riverside.example"}
    assert deploy(HOSTS).get("/venues/12.ics", **forwarded).status_code == 404
    trusting = deploy(HOSTS, TRUSTED_PROXIES="1")
    for _ in range(2):
        response = trusting.get("/venues/12.ics", **forwarded)
        assert canary("riverside").encode() in response.data
    # The client's own claim, before the proxy's.
    other = {"X-Forwarded-Host": "classes.riverside.example, elsewhere.example"}
    assert trusting.get("/venues/12.ics", **other).status_code == 404


@pytest.mark.parametrize(
    ("host", "prefix"),
    [
        ("classes.riverside.example", ""),
        ("localhost", "/s/riverside"),
    ],
)
@pytest.mark.parametrize("base", ["", "https://calendars.example"])
def test_links_of_pages_lead_to_the_same_studio(
    deploy: Deploy, base: str, host: str, prefix: str
) -> None:
    bridge = deploy(HOSTS, PUBLIC_BASE_URL=base)
    seen: set[str] = set()
    waiting = [f"{prefix}/", f"{prefix}/venues/12", f"{prefix}/embed/venues/12"]
    while waiting and len(seen) < 40:
        path = waiting.pop(0)
        seen.add(path)
        response = bridge.get(path, host)
        assert response.status_code in (200, 304), path
        if "text/html" not in response.headers["Content-Type"]:
            continue
        found = re.findall(r'(?:href|src|action)="(/[^"#]*)', response.data.decode())
        for link in map(unescape, found):
            assert link.startswith(f"{prefix}/"), (path, link)
            if link not in seen and link not in waiting:
                waiting.append(link)
    assert len(seen) == 40


@pytest.mark.parametrize(
    ("tables", "base", "expected"),
    [
        ({}, "https://calendars.example/feeds/", "https://calendars.example/feeds/s/riverside"),
        (HOSTS, "https://calendars.example", "https://classes.riverside.example"),
        (
            {"riverside": {"public_base_url": "https://own.example/a"}},
            "https://calendars.example",
            "https://own.example/a",
        ),
        ({}, "", None),
    ],
)
def test_feeds_contain_the_public_address_of_their_studio(
    deploy: Deploy, tables: dict[str, dict[str, object]], base: str, expected: str | None
) -> None:
    bridge = deploy(tables, PUBLIC_BASE_URL=base)
    host = "www.riverside.example" if "hosts" in str(tables) else "localhost"
    prefix = "" if "hosts" in str(tables) else "/s/riverside"
    response = bridge.get(f"{prefix}/venues/12.ics", host)
    source = re.search(r"^SOURCE[^:]*:(.*)/venues/12", response.data.decode(), re.MULTILINE)
    assert (source and source[1]) == expected
    link = response.headers["Link"]
    assert link.startswith(f"<{expected or prefix}/venues/12>")


def test_a_prefix_of_a_proxy_may_end_with_a_slash(deploy: Deploy) -> None:
    response = deploy(TRUSTED_PROXIES="1").get("/s/riverside/none", **{"X-Forwarded-Prefix": "/a/"})
    assert response.status_code == 404
    assert b'href="/a/s/riverside/static/' in response.data


def test_a_studio_with_a_public_address_below_its_slug_has_links_at_its_host(
    deploy: Deploy,
) -> None:
    base = "https://calendars.example/feeds/s/riverside"
    bridge = deploy({"riverside": {**HOSTS["riverside"], "public_base_url": base}})
    at_host = bridge.get("/none", "classes.riverside.example")
    assert b'href="/static/' in at_host.data
    assert b'href="/feeds/s/riverside/static/' in bridge.get("/s/riverside/none").data


@pytest.mark.parametrize("host", ["x.example", "127.0.0.1:8000"])
def test_a_proxy_may_serve_a_studio_below_a_path_of_its_choice(deploy: Deploy, host: str) -> None:
    bridge = deploy({"riverside": {"public_base_url": "https://x.example/yoga"}})
    # The proxy replaces /yoga by /s/riverside.
    page = bridge.get("/s/riverside/none", host).data.decode()
    assert 'href="/yoga/static/' in page
    assert "/s/riverside" not in page


def test_both_paths_of_a_request_find_the_same_studio(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    find = Sites.find

    def recorded(sites: Sites, host: str, path: str) -> tuple[Site | None, str]:
        found.append(find(sites, host, path))
        return found[-1]

    monkeypatch.setattr(Sites, "find", recorded)
    bridge = deploy({"riverside": {"hosts": ["a.example"]}}, TRUSTED_PROXIES="1")
    claims = ("A.example.", "a.example:8443", "b.example, a.example", '"a.example"')
    for claim, port in product(claims, ("443", "x", "")):
        found.clear()
        headers = {"X-Forwarded-Host": claim, "X-Forwarded-Port": port}
        bridge.get("/s/old-chapel/none", **headers)
        # In the event loop and in the thread.
        assert len(found) == 2
        assert found[0] == found[1] == (bridge.site("riverside"), "")
