"""Nobody can put an address of their own into what others are shown."""

from collections.abc import Callable
from typing import Any

import pytest
from security.sites import Site, addresses

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


def tells(answer: Any) -> bool:
    told = answer.data + str(answer.headers).encode()
    return EVIL.encode() in told or b"gopher" in told or b":666" in told


def test_without_proxies_no_forwarded_header_is_believed(site_of: Callable[..., Site]) -> None:
    site = site_of()
    for path in addresses(site.app):
        assert not tells(site.ask(path, **FORWARDED)), path


@pytest.mark.parametrize("hops", [0, 1])
def test_with_an_address_of_its_own_nothing_of_the_request_is_printed(
    site_of: Callable[..., Site], hops: int
) -> None:
    site = site_of(public_base_url=OURS, trusted_proxies=hops)
    for path in addresses(site.app):
        prefixed = {"X_Forwarded_Prefix": f"/{EVIL}"}
        for given in ({"Host": f"{EVIL}:666"}, {**FORWARDED, "Host": EVIL}, prefixed):
            # what is no address at all may be refused
            answer = site.ask(path, **given)
            assert not tells(answer), path


def test_what_one_visitor_sends_no_other_is_shown(site_of: Callable[..., Site]) -> None:
    for fields in ({}, {"trusted_proxies": 1}, {"public_base_url": OURS, "trusted_proxies": 1}):
        site, untouched = site_of(**fields), site_of(**fields)
        paths = [path for path in addresses(site.app) if path not in ("/status", "/metrics")]
        for path in paths:
            site.ask(path, Host=EVIL, **FORWARDED)
            site.ask(path, Host=EVIL)
            site.ask(path, X_Forwarded_Prefix="/evil.example")
            assert not tells(site.ask(path)), path
            assert site.ask(path).data == untouched.ask(path).data, path


@pytest.mark.parametrize("path", PAGES)
def test_behind_proxies_the_nearest_ones_are_believed(
    site_of: Callable[..., Site], path: str
) -> None:
    site = site_of(trusted_proxies=1)
    answer = site.ask(
        path,
        X_Forwarded_Host=f"{EVIL}, studio.example",
        X_Forwarded_Proto="gopher, https",
        X_Forwarded_Prefix=f"//{EVIL}, /cal",
    )
    assert answer.status_code == (404 if path == "/nowhere" else 200)
    assert not tells(answer)
    assert b'"/cal/static/' in answer.data


@pytest.mark.parametrize(
    "given",
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
    ids=lambda given: " ".join(given.values()),
)
@pytest.mark.parametrize("path", PAGES)
def test_what_is_no_address_is_printed_nowhere_though_a_proxy_says_it(
    site_of: Callable[..., Site], path: str, given: dict[str, str]
) -> None:
    answer = site_of(trusted_proxies=1).ask(path, **given)
    # what cannot be read at all is passed over, and what can be is refused
    assert answer.status_code in (200, 400, 404)
    assert not tells(answer)
    assert b"javascript:" not in answer.data
