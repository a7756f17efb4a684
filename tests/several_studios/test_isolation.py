"""Nothing of one studio reaches another: addresses, caches, keys, errors, logs and metrics."""

import json
import re
import sqlite3
from contextlib import closing
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from clocks import wait_until
from several_studios.conftest import OPERATOR, SLUGS, Deploy, Deployment, canary, token, toml

from bridge.feeds.private import FeedGrant, new_audience
from bridge.feeds.spec import Kind
from bridge.model import Visibility
from bridge.ops.log_stream import STDERR
from bridge.upstream.account import Account

OWNERS = {slug: f"the operator of {slug}" for slug in SLUGS}
TABLES = {
    slug: {
        "hosts": [f"{slug}.example"],
        "operator_token": OWNERS[slug],
        "name": f"{canary(slug)} Yoga",
        "studio_url": f"https://{canary(slug).lower()}.example/",
    }
    for slug in SLUGS
}
PATHS = (
    "/ /?lang=de /venues/12 /venues/12?view=week /venues/12.ics /venues/12.json /venues/12.txt"
    " /venues/12/changes /venues/12/changes.atom /venues/12/changes.json /instructors/14.ics"
    " /courses/52.ics /rooms/1.ics /types/1 /types/1.ics /sessions.ics /sessions?weekdays=sat"
    " /sessions.ics?venues=12&_=.ics /sessions.json?limit=3 /embed/venues/12 /embed.js"
    " /catalogue.json /openapi.json /robots.txt /healthz /readyz /venues/999999.ics /venues/999999"
    " /venues/12.ics?weekday=sat /none /private/1abc.ics /private/1abc /status /metrics /sessions/"
).split()
PAIRS = list(permutations(SLUGS, 2))


def words(slug: str) -> list[bytes]:
    """What must not be told to another studio; in lower case."""
    secrets = (canary(slug), token(slug), f"signing-key-of-{slug}", OWNERS[slug])
    return [text.lower().encode() for text in (*secrets, OPERATOR)]


@pytest.fixture(scope="module")
def bridge(deploy_shared: Deploy) -> Deployment:
    """Both studios; all paths of each have been requested once."""
    bridge = deploy_shared(TABLES, LOG_LEVEL="warning")
    for slug in SLUGS:
        for path in PATHS:
            bridge.get(path, f"{slug}.example")
    return bridge


def assert_free(slug: str, text: bytes, where: str) -> None:
    """Fails if *text* contains anything of the studio *slug*."""
    assert not [word for word in words(slug) if word in text.lower()], where


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_no_response_of_a_studio_tells_of_another(bridge: Deployment, one: str, other: str) -> None:
    password = {"Authorization": f"Bearer {OWNERS[one]}"}
    told = 0
    for path in PATHS:
        for headers in ({}, {}, password, {"X-Forwarded-Host": f"{other}.example"}):
            response = bridge.get(path, f"{one}.example", **headers)
            whole = f"{response.headers}".encode() + response.data
            assert_free(other, whole, path)
            told += canary(one).lower().encode() in whole.lower()
    assert told > 60


@pytest.mark.parametrize(("one", "other"), PAIRS)
@pytest.mark.parametrize(
    "path",
    [
        "/s/{other}/venues/12.ics",
        "//s/{other}/venues/12.ics",
        "/s/{one}/../{other}/venues/12.ics",
        "/s/{one}/s/{other}/venues/12.ics",
        "/venues/12.ics/../../s/{other}/",
        "/s/{other}/status",
    ],
)
def test_no_path_at_the_host_of_a_studio_leads_to_another(
    bridge: Deployment, one: str, other: str, path: str
) -> None:
    for _ in range(2):
        response = bridge.get(path.format(one=one, other=other), f"{one}.example")
        assert response.status_code == 404
        assert_free(other, response.data, path)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_the_password_of_a_studio_opens_its_own_status_page_only(
    bridge: Deployment, one: str, other: str
) -> None:
    password = {"Authorization": f"Bearer {OWNERS[one]}"}
    assert bridge.get("/status", f"{one}.example", **password).status_code == 200
    assert bridge.get("/status", f"{other}.example", **password).status_code == 401
    for path in ("/metrics", f"/s/{one}/metrics"):
        response = bridge.get(path, "localhost", **password)
        assert response.status_code in (401, 404)
    assert bridge.get("/metrics", f"{one}.example", **password).status_code == 401


def test_metrics_are_those_of_all_studios_each_with_its_label(bridge: Deployment) -> None:
    response = bridge.get("/metrics", Authorization=f"Bearer {OPERATOR}")
    text = response.data.decode()
    for slug in SLUGS:
        assert re.search(rf'^bridge_walks_total{{.*studio="{slug}"}} [1-9]', text, re.MULTILINE)
        assert re.search(rf'^bridge_snapshot_age_seconds{{.*studio="{slug}"', text, re.MULTILINE)
    labels = set(re.findall(r'studio="([^"]*)"', text))
    assert labels == {*SLUGS, ""}
    assert "canary" not in text.lower()


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_private_address_works_at_its_own_studio_only(
    bridge: Deployment, one: str, other: str
) -> None:
    grant = FeedGrant(Kind.VENUE, 12, (), new_audience([Visibility.PUBLIC], label="Staff"))
    path = f"/private/{bridge.site(one).services.private.sign(grant)}"
    for suffix in (".ics", "", "/changes.atom", "/changes"):
        assert bridge.get(path + suffix, f"{one}.example").status_code == 200
        assert bridge.get(path + suffix, f"{other}.example").status_code == 404
        assert bridge.get(f"/s/{other}{path}{suffix}").status_code == 404
    bridge.site(other).services.private.revoke(str(grant.audience.private))
    assert bridge.get(f"{path}.ics", f"{one}.example").status_code == 200


def test_two_studios_of_one_account_have_nothing_in_common_in_the_store(
    deploy: Deploy, upstreams: Any, tmp_path: Path
) -> None:
    urls, _ = upstreams
    same = {"teamup_base_url": urls["riverside"], "token": token("riverside"), "provider": "7"}
    path = tmp_path / "store.sqlite3"
    bridge = deploy(dict.fromkeys(SLUGS, same), CACHE_URL=f"sqlite:///{path}")
    for slug in SLUGS:
        assert bridge.get(f"/s/{slug}/venues/12.ics").status_code == 200
    names = {Account.of(bridge.site(slug).services.config).name for slug in SLUGS}
    with closing(sqlite3.connect(path)) as connection:
        keys = [key for (key,) in connection.execute("SELECT key FROM entries")]
    assert {key.partition(":")[0] for key in keys} == names
    assert len(names) == 2
    walks = bridge.get("/metrics", Authorization=f"Bearer {OPERATOR}").data.decode()
    for slug in SLUGS:
        assert f'bridge_walks_total{{outcome="complete",studio="{slug}"}} 2.0' in walks


def test_a_slug_that_is_given_to_another_provider_shows_nothing_of_the_first(
    deploy: Deploy, upstreams: Any, tmp_path: Path
) -> None:
    urls, _ = upstreams
    store = {"CACHE_URL": f"sqlite:///{tmp_path}/store.sqlite3"}
    first = {"riverside": {"provider": "1"}}
    assert deploy(first, **store).get("/s/riverside/venues/12.ics").status_code == 200
    # TeamUp has one address for all studios. This one refuses the token of the other studio.
    moved = {"token": token("old-chapel"), "teamup_base_url": urls["riverside"], "provider": "2"}
    bridge = deploy({"riverside": moved}, **store)
    for path in ("/venues/12.ics", "/", "/catalogue.json"):
        response = bridge.get(f"/s/riverside{path}")
        assert response.status_code == 503
        assert_free("riverside", response.data, path)


def test_a_studio_that_gets_a_new_token_keeps_its_feeds(deploy: Deploy, tmp_path: Path) -> None:
    store = {"CACHE_URL": f"sqlite:///{tmp_path}/store.sqlite3"}
    path = "/s/riverside/venues/12.ics"
    before = deploy(**store).get(path).data
    # The upstream refuses it, so the feed can only be the stored one.
    after = deploy({"riverside": {"token": "a-new-token-of-riverside"}}, **store).get(path)
    assert (after.status_code, after.data) == (200, before)


def test_a_revoked_feed_stays_revoked_if_its_studio_gets_another_slug(
    deploy: Deploy, tmp_path: Path
) -> None:
    hosts = ["one.example"]
    key = {"feed_signing_keys": ["the key of one studio"], "hosts": hosts}
    store = {"CACHE_URL": f"sqlite:///{tmp_path}/store.sqlite3"}
    bridge = deploy({"riverside": key}, **store)
    private = bridge.site("riverside").services.private
    grant, other = (
        FeedGrant(Kind.VENUE, 12, (), new_audience([Visibility.PUBLIC])) for _ in range(2)
    )
    paths = [f"/private/{private.sign(each)}.ics" for each in (grant, other)]
    private.revoke(str(grant.audience.private))
    for tables in ({"riverside": key}, {"old-chapel": key}):
        bridge = deploy(tables, **store)
        assert [bridge.get(path, *hosts).status_code for path in paths] == [404, 200]


def test_log_lines_and_alerts_name_their_studio_and_tell_of_no_other(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(STDERR, "write", lambda text: lines.append(text) or len(text))
    bridge = deploy(TABLES, LOG_REQUESTS="all")
    for slug in SLUGS:
        for path in PATHS:
            bridge.get(path, f"{slug}.example")
        bridge.faults[slug].set("status", 500)
        bridge.get("/sessions.ics?ends_at_gte=2020-01-01", f"{slug}.example")
    wait_until(lambda: sum("walk failed" in line for line in lines) >= len(SLUGS))
    rows = [json.loads(line) for line in lines]
    for row in rows:
        slug = row.get("studio")
        for other in {*SLUGS} - {slug}:
            assert_free(other, json.dumps(row).encode(), str(row))
    events = {slug: {row["event"] for row in rows if row.get("studio") == slug} for slug in SLUGS}
    for slug in SLUGS:
        assert events[slug] >= {"request", "published", "walk failed"}
    # What belongs to no studio: warnings about the server's settings, and its own addresses.
    assert {row["event"] for row in rows if "studio" not in row} <= {"settings", "request"}


def test_the_file_itself_is_not_told(bridge: Deployment) -> None:
    assert token("riverside") not in repr(bridge.site("riverside").services.config)
    assert "studio" in toml(TABLES)


def test_log_lines_of_responses_that_need_no_thread_name_their_studio(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(STDERR, "write", lambda text: lines.append(text) or len(text))
    deploy(LOG_REQUESTS="all").get("/s/riverside/healthz")
    [row] = [row for row in map(json.loads, lines) if row["event"] == "request"]
    assert row["studio"] == "riverside"


def test_a_logo_that_is_gone_when_a_studio_is_first_requested_changes_nothing(
    deploy: Deploy, tmp_path: Path
) -> None:
    logo = tmp_path / "logo.svg"
    logo.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>', encoding="utf-8")
    bridge = deploy({"riverside": {"studio_logo": str(logo)}})
    logo.unlink()
    assert bridge.get("/s/riverside/venues/12.ics").status_code == 200
    [address] = re.findall(rb'<img[^>]* src="([^"]+logo.svg)"', bridge.get("/s/riverside/").data)
    assert bridge.get(address.decode()).status_code == 200
