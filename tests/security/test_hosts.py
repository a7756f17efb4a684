"""A client cannot inject its own host into pages, for itself or for other clients."""

from collections.abc import Callable
from typing import Any

import pytest
from security.sites import Site, all_paths, some_paths

EVIL = "evil.example"
FORWARDED = {
    "X_Forwarded_Host": EVIL,
    "X_Forwarded_For": "203.0.113.9",
    "X_Forwarded_Proto": "gopher",
    "X_Forwarded_Port": "666",
    "X_Forwarded_Prefix": f"//{EVIL}",
    "X_Forwarded_Server": EVIL,
    "X_Original_URL": f"//{EVIL}/",
    "X_Rewrite_URL": f"//{EVIL}/",
    "X_Host": EVIL,
    "Forwarded": f"host={EVIL};proto=gopher",
}
OURS = "https://calendar.example.org"
PAGES = ("/", "/sessions", "/venues/11", "/embed/venues/11", "/sessions/10001", "/nowhere")


def reflects(answer: Any) -> bool:
    """Whether the response contains a forged host, scheme or port."""
    text = answer.data + str(answer.headers).encode()
    return EVIL.encode() in text or b"gopher" in text or b":666" in text


def test_without_proxies_forwarded_headers_are_ignored(make_site: Callable[..., Site]) -> None:
    site = make_site()
    for path in all_paths(site.app):
        answer = site.request(path, **FORWARDED)
        assert not reflects(answer), path
        # Not even refused.
        assert answer.status_code == site.request(path).status_code, path


@pytest.mark.parametrize("hops", [0, 1])
def test_with_a_public_base_url_no_host_of_the_request_is_used(
    make_site: Callable[..., Site], hops: int
) -> None:
    site = make_site(public_base_url=OURS, trusted_proxies=hops)
    for path in some_paths(site.app, hops):
        prefix = {"X_Forwarded_Prefix": f"/{EVIL}"}
        for headers in ({"Host": f"{EVIL}:666"}, {**FORWARDED, "Host": EVIL}, prefix):
            # An invalid host may be refused.
            answer = site.request(path, **headers)
            assert not reflects(answer), path


def test_forged_hosts_of_one_client_are_not_shown_to_others(make_site: Callable[..., Site]) -> None:
    settings = ({}, {"trusted_proxies": 1}, {"public_base_url": OURS, "trusted_proxies": 1})
    for number, fields in enumerate(settings):
        site, untouched = make_site(**fields), make_site(**fields)
        for path in some_paths(site.app, number):
            if path in ("/status", "/metrics"):
                continue
            site.request(path, Host=EVIL, **FORWARDED)
            site.request(path, Host=EVIL)
            site.request(path, X_Forwarded_Prefix="/evil.example")
            assert not reflects(site.request(path)), path
            assert site.request(path).data == untouched.request(path).data, path


@pytest.fixture(scope="module")
def proxied(make_shared_site: Callable[..., Site]) -> Site:
    """A bridge that trusts one proxy."""
    return make_shared_site(trusted_proxies=1)


@pytest.mark.parametrize("path", PAGES)
def test_behind_proxies_only_the_last_forwarded_values_are_trusted(
    proxied: Site, path: str
) -> None:
    answer = proxied.request(
        path,
        X_Forwarded_Host=f"{EVIL}, studio.example",
        X_Forwarded_Proto="gopher, https",
        X_Forwarded_Prefix=f"//{EVIL}, /cal",
    )
    assert answer.status_code == (404 if path == "/nowhere" else 200)
    assert not reflects(answer)
    assert b'"/cal/static/' in answer.data


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Forwarded_Prefix": f"//{EVIL}"},
        {"X_Forwarded_Prefix": f"https://{EVIL}"},
        {"X_Forwarded_Prefix": f"/\\{EVIL}"},
        {"X_Forwarded_Prefix": '"><script>evil.example'},
        {"X_Forwarded_Prefix": "javascript:alert('evil.example')"},
        {"X_Forwarded_Proto": "javascript"},
        {"X_Forwarded_Proto": "gopher"},
        {"X_Forwarded_Host": f"studio.example/{EVIL}"},
        {"X_Forwarded_Host": f"{EVIL}:x"},
        {"X_Forwarded_Port": "1@evil.example"},
    ],
    ids=lambda headers: " ".join(headers.values()),
)
@pytest.mark.parametrize("path", [*PAGES, "/catalogue.json"])
def test_invalid_forwarded_values_of_a_proxy_are_not_used(
    proxied: Site, path: str, headers: dict[str, str]
) -> None:
    answer = proxied.request(path, **headers)
    # Unreadable values are ignored, invalid ones are refused.
    assert answer.status_code in (200, 400, 404)
    assert not reflects(answer)
    assert b"javascript:" not in answer.data
