"""Private feeds: they show the signed content to anyone with the URL, until they are revoked."""

import re
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from click.testing import Result
from clocks import ManualClock
from faults.scenarios import FastClock
from security import canaries, studios
from security.sites import Site

from bridge.config import Availability
from bridge.errors import ParameterError
from bridge.feeds.private import FeedGrant, PrivateFeeds, new_audience
from bridge.feeds.spec import Kind
from bridge.model import Visibility
from bridge.store.keys import Keys
from bridge.store.memory import MemoryStore

Sign = Callable[..., str]
NEW, OLD = canaries.KEYS
EVERYBODY = "public,membership_holders,private"
WITHIN_A_MINUTE = 60.0


@pytest.fixture(scope="module")
def site(make_shared_site: Callable[..., Site]) -> Site:
    return make_shared_site()


def command(site: Site, *arguments: str) -> Result:
    """Run a CLI command; fails on an exception or a canary in its output."""
    result = site.app.test_cli_runner().invoke(args=list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert not canaries.leaks(result.output), result.output
    return result


def sign(site: Site, path: str = "sessions.ics", *options: str) -> str:
    """Sign a feed with the command; return its URL path."""
    result = command(site, "sign", path, *options)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()[-1]


def identity(site: Site, address: str) -> str:
    """The id for revoking the feed at *address*."""
    token = address.rpartition("/")[2].rpartition(".")[0]
    return str(site.parts.private.decode(token).audience.private)


class TestContent:
    @pytest.mark.parametrize("form", ["ics", "json", "txt"])
    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ((), set()),
            (("--visibility", "membership_holders"), {"members"}),
            (("--visibility", "private"), {"private"}),
            (("--visibility", EVERYBODY), {"members", "private"}),
            (("--counts",), {"count"}),
            (("--join-links",), {"join"}),
            (("--staff-links",), {"staff"}),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
    )
    def test_a_feed_shows_only_the_signed_content(
        self, site: Site, form: str, options: tuple[str, ...], expected: set[str]
    ) -> None:
        answer = site.client.get(sign(site, f"sessions.{form}", *options))
        assert answer.status_code == 200
        words = canaries.leaks(answer.data)
        assert words <= expected
        # The text format has no links, and no counts except the places left.
        assert form == "txt" or words == expected

    @pytest.mark.parametrize("form", ["atom", "json"])
    def test_the_changes_of_a_feed_can_be_signed(self, site: Site, form: str) -> None:
        address = sign(site, f"venues/11/changes.{form}")
        assert address.endswith(f"/changes.{form}")
        assert site.client.get(address).status_code == 200

    def test_exact_places_are_shown_only_with_counts(self, site: Site) -> None:
        query = "sessions.json?availability=spots"
        rounded = site.client.get(sign(site, query)).json
        exact = site.client.get(sign(site, query, "--counts")).json
        assert canaries.PLACES_LEFT not in [event["availability"] for event in rounded]
        assert canaries.PLACES_LEFT in [event["availability"] for event in exact]

    def test_drafts_and_unknown_visibilities_are_never_shown(self, site: Site) -> None:
        everything = ("--visibility", EVERYBODY, "--counts", "--join-links", "--staff-links")
        answer = site.client.get(sign(site, "sessions.ics", *everything))
        assert canaries.leaks(answer.data) == {"members", "private", "count", "join", "staff"}

    def test_a_feed_of_a_private_class_or_its_room_shows_it(self, site: Site) -> None:
        for path in (f"classes/{studios.PRIVATE_CLASS}.json", f"rooms/{studios.HIDDEN_ROOM}.json"):
            answer = site.client.get(sign(site, path, "--visibility", "private"))
            assert canaries.leaks(answer.data) == {"private"}

    def test_appointments_and_names_of_customers_are_never_shown(self, site: Site) -> None:
        everything = ("--visibility", EVERYBODY, "--counts", "--join-links", "--staff-links")
        answer = site.client.get(sign(site, f"classes/{studios.APPOINTMENT}.json", *everything))
        assert answer.json == []
        room = site.client.get(sign(site, f"rooms/{studios.HIDDEN_ROOM}.json", *everything))
        assert canaries.leaks(room.data) == {"members", "private", "join", "staff"}

    @pytest.mark.parametrize("form", ["ics", "json", "txt"])
    @pytest.mark.parametrize("query", ["venues=16", "past=0", "lang=de", "visibility=private"])
    def test_parameters_that_are_not_signed_change_nothing(
        self, site: Site, form: str, query: str
    ) -> None:
        address = sign(site, f"venues/11.{form}")
        signed, answer = site.client.get(address), site.client.get(f"{address}?{query}")
        assert (answer.status_code, answer.data) == (200, signed.data)

    def test_parameters_of_the_format_and_of_trackers_are_accepted(self, site: Site) -> None:
        address = sign(site, "venues/11.json")
        whole = site.client.get(address).json
        assert {event["venue"]["id"] for event in whole} == {11}
        assert site.client.get(f"{address}?utm_source=mail&_=1").json == whole
        assert len(site.client.get(f"{address}?limit=1").json) == 1

    def test_parameters_reveal_nothing_about_a_wrong_address(self, site: Site) -> None:
        address = sign(site, "venues/11.ics").replace(".ics", "x.ics")
        answer, other = (site.client.get(f"{address}{query}") for query in ("?venues=16", ""))
        assert (answer.status_code, answer.data) == (404, other.data)

    def test_the_label_is_the_name_of_the_calendar(self, site: Site) -> None:
        answer = site.client.get(sign(site, "sessions.ics", "--label", "For the team"))
        assert b"\r\nNAME:For the team\r\n" in answer.data


class TestIsolation:
    def test_public_and_private_feeds_do_not_mix_in_the_cache(self, site: Site) -> None:
        public = site.client.get("/sessions.ics?availability=full")
        options = ("--visibility", EVERYBODY, "--counts", "--join-links", "--staff-links")
        private = site.client.get(sign(site, "sessions.ics?availability=full", *options))
        again = site.client.get("/sessions.ics?availability=full")
        assert private.data != public.data
        assert again.data == public.data
        assert again.headers["ETag"] == public.headers["ETag"]
        plain = site.client.get(sign(site, "sessions.ics?availability=full"))
        assert plain.headers["Cache-Control"].startswith("private")
        assert canaries.leaks(plain.data) == set()

    def test_a_private_feed_is_not_shared_indexed_or_linked(self, site: Site) -> None:
        address = sign(site, "venues/11.ics", "--counts")
        tag = site.client.get(address).headers["ETag"]
        for headers in ({}, {"If-None-Match": tag}, {"Range": "bytes=0-9"}, {"Origin": "null"}):
            answer = site.client.get(address, headers=headers)
            assert answer.status_code == (304 if "If-None-Match" in headers else 200)
            assert answer.headers["Cache-Control"].startswith("private, ")
            assert answer.headers["X-Robots-Tag"] == "noindex"
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert "Link" not in answer.headers
            assert b"SOURCE" not in answer.data
            assert b"\r\nURL:http://localhost" not in answer.data

    def test_the_address_is_in_no_log(self, make_site: Callable[..., Site]) -> None:
        site = make_site(log_level="debug", feed_max_bytes=2_000)
        address = sign(site, "venues/11.ics", "--counts")
        wrong = (address + "x", address[:-5], f"/cal{address}", address.upper(), f"/{address}")
        for path in (address, f"{address}?x=1", *wrong):
            site.client.get(path)
        token = address.removeprefix("/private/").removesuffix(".ics")
        assert "trimmed" in site.log.getvalue()
        for piece in (token, token.upper(), token[:60], token.rpartition(".")[2]):
            assert piece not in site.log.getvalue()
            assert all(piece.encode() not in answer.data for answer in site.operator_pages())


def test_an_address_has_one_spelling(site: Site) -> None:
    """Base64 decoders ignore padding, foreign characters and the last character's unused bits."""
    address = sign(site, "venues/11.ics")
    token = address.removeprefix("/private/").removesuffix(".ics")
    assert site.client.get(address).status_code == 200
    unknown = site.client.get("/private/x.ics")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others = [token[:-1] + letter for letter in letters if letter != token[-1]]
    for filler in ("=", "==", "~~~~", "%20", "."):
        others += [token + filler, token[:9] + filler + token[9:], token.replace(".", f"{filler}.")]
    for other in others:
        response = site.client.get(f"/private/{other}.ics")
        assert (response.status_code, response.data) == (404, unknown.data), other


class TestUnknownAddresses:
    @pytest.fixture
    def addresses(self, site: Site, make_site: Callable[..., Site]) -> list[str]:
        good = sign(site, "venues/11.ics")
        token = good.removeprefix("/private/").removesuffix(".ics")
        revoked = sign(site, "venues/11.ics")
        site.parts.private.revoke(identity(site, revoked))
        forged = sign(make_site(signing_keys=("another",)), "venues/11.ics")
        return [
            revoked,
            forged,
            "/private/.ics",
            "/private/x.ics",
            "/private/1.ics",
            f"/private/{'a' * 3_000}.ics",
            "/private/%ff%00%0d%0aX.ics",
            "/private/../venues/11.ics",
            f"/private/{token[1:]}.ics",
            f"/private/2{token[1:]}.ics",
            f"/private/{token}x.ics",
            f"/private/{token[:-1]}.ics",
            f"/private/{token}/{token}.ics",
            f"/private/{token.swapcase()}.ics",
            f"/private/1.{token[1:]}.ics",
            "/private/1" + "." * 300 + ".ics",
        ]

    def test_all_get_the_same_404(self, site: Site, addresses: list[str]) -> None:
        answers = [site.client.get(path) for path in addresses]
        for answer in answers:
            answer.headers.pop("X-Request-Id")
        assert {answer.status_code for answer in answers} == {404}
        assert len({answer.data for answer in answers}) == 1
        assert len({str(answer.headers) for answer in answers}) == 1

    def test_the_404_is_the_same_without_signing_keys(
        self, site: Site, make_site: Callable[..., Site]
    ) -> None:
        address = sign(site, "venues/11.ics")
        off = make_site(signing_keys=())
        answers = [site.client.get("/private/x.ics"), off.client.get(address)]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].data == answers[1].data

    def test_a_feed_with_too_long_a_token_cannot_be_signed(self, site: Site) -> None:
        pairs = tuple(("venues", str(10**18 + 7919**4 * number)) for number in range(300))
        audience = new_audience([Visibility.PUBLIC])
        with pytest.raises(ParameterError, match="too long"):
            site.parts.private.sign(FeedGrant(Kind.SESSION, None, pairs, audience))

    def test_the_longest_feed_that_can_be_signed_can_be_read(self, site: Site) -> None:
        for count in range(100, 0, -1):
            ids = "%2C".join(str(10**18 + 7919**4 * number) for number in range(count))
            result = command(site, "sign", f"sessions.ics?venues={ids}")
            if result.exit_code == 0:
                assert site.client.get(result.stdout.strip()).status_code == 200
                return
        raise AssertionError("nothing can be signed")


class TestKeys:
    def test_feeds_signed_with_an_old_key_work_until_the_key_is_removed(
        self, make_site: Callable[..., Site]
    ) -> None:
        address = sign(make_site(signing_keys=(OLD,)), "venues/11.ics")
        assert make_site(signing_keys=(NEW, OLD)).client.get(address).status_code == 200
        assert make_site(signing_keys=(NEW,)).client.get(address).status_code == 404

    def test_the_first_key_signs(self, make_site: Callable[..., Site]) -> None:
        address = sign(make_site(signing_keys=(NEW, OLD)), "venues/11.ics")
        assert make_site(signing_keys=(NEW,)).client.get(address).status_code == 200
        assert make_site(signing_keys=(OLD,)).client.get(address).status_code == 404


class RunningClock(ManualClock):
    """A clock that moves by a second whenever it is read."""

    def monotonic(self) -> float:
        self.move(1.0)
        return super().monotonic()


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Let threads interrupt each other as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class TestRevocation:
    def test_a_revocation_reaches_every_worker_within_a_minute(
        self, make_site: Callable[..., Site], fast_clock: FastClock
    ) -> None:
        store = MemoryStore(fast_clock)
        first, *others = (make_site(store=store) for _ in range(3))
        address, other = sign(first, "venues/11.ics"), sign(first, "venues/11.ics")
        for site in (first, *others):
            assert site.client.get(address).status_code == 200
        first.parts.private.revoke(identity(first, address))
        assert first.client.get(address).status_code == 404
        fast_clock.move(WITHIN_A_MINUTE)
        for site in (first, *others, make_site(store=store)):
            assert site.client.get(address).status_code == 404
            assert site.client.get(other).status_code == 200

    def test_a_revocation_survives_the_loss_of_the_store(
        self, make_site: Callable[..., Site], fast_clock: FastClock
    ) -> None:
        store = MemoryStore(fast_clock)
        site, another = make_site(store=store), make_site(store=store)
        address = sign(site, "venues/11.ics")
        revoked = identity(site, address)
        site.parts.private.revoke(revoked)
        assert another.client.get(address).status_code == 404
        store.close()
        fast_clock.move(10 * WITHIN_A_MINUTE)
        assert another.client.get(address).status_code == 404
        configured = make_site(store=store, revoked=frozenset([revoked]))
        assert configured.client.get(address).status_code == 404

    @pytest.mark.parametrize(
        "change",
        [
            {"provider_id": "7"},
            {"request_mode": "provider"},
            {"request_mode": "provider", "signing_keys": ("a newer signing key", *canaries.KEYS)},
        ],
        ids=str,
    )
    def test_a_revocation_survives_a_change_of_the_account(
        self, make_site: Callable[..., Site], fast_clock: FastClock, change: dict[str, Any]
    ) -> None:
        store = MemoryStore(fast_clock)
        before, after = make_site(store=store), make_site(store=store, **change)
        address, other = sign(before, "venues/11.ics"), sign(before, "venues/11.ics")
        before.parts.private.revoke(identity(before, address))
        assert after.client.get(address).status_code == 404
        assert after.client.get(other).status_code == 200

    def test_many_threads_can_read_private_feeds_at_once(self, quick_switches: None) -> None:
        """The clock passes the time after which the store is read again at every request."""
        clock = RunningClock()
        store = MemoryStore(clock)
        feeds = PrivateFeeds(store, Keys("account"), clock, keys=[NEW], revoked=frozenset())
        identities = [f"{number:016x}" for number in range(20)] * 50
        with ThreadPoolExecutor(8) as threads:
            answers = [threads.map(feeds.is_revoked, identities) for _ in range(8)]
            assert not any(revoked for answer in answers for revoked in answer)

    @pytest.mark.parametrize(
        "by", ["address", "id", "whole address", "other form", "changes", "page of changes"]
    )
    def test_the_command_revokes_by_id_or_address(
        self, make_site: Callable[..., Site], fast_clock: FastClock, by: str
    ) -> None:
        site = make_site(
            store=MemoryStore(fast_clock), cache_url="sqlite:///x", revoked=frozenset(["0" * 16])
        )
        address = sign(site, "venues/11.ics")
        revoked = identity(site, address)
        given = {
            "address": address,
            "id": revoked,
            "whole address": f"https://calendar.example.org{address}?x=1",
            "other form": address.replace(".ics", ".json"),
            "changes": address.replace(".ics", "/changes.atom"),
            "page of changes": address.replace(".ics", "/changes"),
        }[by]
        for _ in range(2):
            result = command(site, "revoke", given)
            assert result.exit_code == 0
            # With the ids that are already revoked: the line replaces the setting.
            assert result.stdout == f"FEED_REVOKED={','.join(sorted(['0' * 16, revoked]))}\n"
        assert site.client.get(address).status_code == 404

    def test_the_command_fails_where_workers_cannot_be_reached(self, site: Site) -> None:
        result = command(site, "revoke", identity(site, sign(site)))
        assert result.exit_code == 1
        assert result.stdout.startswith("FEED_REVOKED=")
        assert "restart" in result.stderr

    @pytest.mark.parametrize("given", ["/private/x.ics", "x", "", "0123", "/venues/11.ics"])
    def test_revoking_an_unknown_feed_is_refused(self, site: Site, given: str) -> None:
        result = command(site, "revoke", given)
        assert result.exit_code == 1
        assert "FEED_REVOKED" not in result.output


class TestSigning:
    def test_the_last_printed_line_is_the_address(self, make_site: Callable[..., Site]) -> None:
        site = make_site(public_base_url="https://calendar.example.org")
        assert re.fullmatch(
            r"https://calendar\.example\.org/private/[\w.-]+\.txt", sign(site, "venues/11.txt")
        )

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["sessions.ics", "--visibility", "everyone"], "membership_holders"),
            (["sessions.ics", "--visibility", ""], "membership_holders"),
            (["sessions.ics?venue=1"], "venues"),
            (["private/x.ics"], "is not a feed"),
        ],
    )
    def test_invalid_feeds_are_refused(
        self, site: Site, arguments: list[str], message: str
    ) -> None:
        result = command(site, "sign", *arguments)
        assert result.exit_code == 1
        assert message in result.stderr
        assert result.stdout == ""

    def test_without_a_key_the_error_names_the_variable(
        self, make_site: Callable[..., Site]
    ) -> None:
        result = command(make_site(signing_keys=()), "sign", "sessions.ics")
        assert result.exit_code == 1
        assert "FEED_SIGNING_KEYS" in result.stderr

    def test_two_signatures_of_a_feed_are_revoked_separately(self, site: Site) -> None:
        first, second = sign(site, "venues/11.ics"), sign(site, "venues/11.ics")
        assert first != second
        site.parts.private.revoke(identity(site, first))
        statuses = [site.client.get(address).status_code for address in (first, second)]
        assert statuses == [404, 200]

    def test_a_signed_feed_may_show_more_availability_than_public_feeds(
        self, make_site: Callable[..., Site]
    ) -> None:
        site = make_site(public_availability=Availability.NONE)
        query = "sessions.json?occupancy_status=full&availability=spots"
        events: Any = site.client.get(sign(site, query)).json
        assert [event["availability"] for event in events] == ["full", "full"]
