"""Private feeds: each shows what its owner chose, to whoever has its address, until it is ended."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from faults.scenes import HurriedClock
from security import canaries, studios
from security.sites import Site

from bridge.config import Availability
from bridge.errors import ParameterError
from bridge.feeds.private import Grant, audience
from bridge.feeds.spec import Kind
from bridge.model import Visibility
from bridge.store.memory import MemoryStore

Sign = Callable[..., str]
NEW, OLD = canaries.KEYS
EVERYBODY = "public,membership_holders,private"
WITHIN_A_MINUTE = 60.0


@pytest.fixture
def site(site_of: Callable[..., Site]) -> Site:
    return site_of()


def command(site: Site, *arguments: str) -> Result:
    """Run a command of the bridge's that *site* is; nothing of it is a traceback or a secret."""
    result = site.app.test_cli_runner().invoke(args=list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert not canaries.leaks(result.output), result.output
    return result


def sign(site: Site, path: str = "sessions.ics", *options: str) -> str:
    """The address that the command prints."""
    result = command(site, "sign", path, *options)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()[-1]


def identity(site: Site, address: str) -> str:
    """The id by which the feed at *address* can be revoked."""
    token = address.rpartition("/")[2].rpartition(".")[0]
    return str(site.parts.private.read(token).audience.private)


class TestItShows:
    @pytest.mark.parametrize("form", ["ics", "json", "txt"])
    @pytest.mark.parametrize(
        ("options", "shown"),
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
    def test_what_was_chosen_and_no_more(
        self, site: Site, form: str, options: tuple[str, ...], shown: set[str]
    ) -> None:
        answer = site.client.get(sign(site, f"sessions.{form}", *options))
        assert answer.status_code == 200
        found = canaries.leaks(answer.data)
        assert found <= shown
        # an agenda for a terminal has neither links nor counts, but for places left
        assert form == "txt" or found == shown

    def test_exact_places_only_where_counts_are_shown(self, site: Site) -> None:
        query = "sessions.json?availability=spots"
        rounded = site.client.get(sign(site, query)).json
        exact = site.client.get(sign(site, query, "--counts")).json
        assert canaries.LEFT not in [one["availability"] for one in rounded]
        assert canaries.LEFT in [one["availability"] for one in exact]

    def test_never_a_draft_nor_what_has_no_known_visibility(self, site: Site) -> None:
        everything = ("--visibility", EVERYBODY, "--counts", "--join-links", "--staff-links")
        answer = site.client.get(sign(site, "sessions.ics", *everything))
        assert canaries.leaks(answer.data) == {"members", "private", "count", "join", "staff"}

    def test_the_filters_that_were_signed_whatever_is_asked_for(self, site: Site) -> None:
        address = sign(site, "venues/11.json")
        assert site.client.get(f"{address}?venues=16").data == site.client.get(address).data
        assert {one["venue"]["id"] for one in site.client.get(address).json} == {11}

    def test_its_label(self, site: Site) -> None:
        answer = site.client.get(sign(site, "sessions.ics", "--label", "For the team"))
        assert b"\r\nNAME:For the team\r\n" in answer.data


class TestOthers:
    def test_see_nothing_of_it_in_the_same_moment(self, site: Site) -> None:
        public = site.client.get("/sessions.ics?availability=full")
        options = ("--visibility", EVERYBODY, "--counts", "--join-links", "--staff-links")
        private = site.client.get(sign(site, "sessions.ics?availability=full", *options))
        again = site.client.get("/sessions.ics?availability=full")
        assert private.data != public.data
        assert again.data == public.data
        assert again.headers["ETag"] == public.headers["ETag"]
        two = site.client.get(sign(site, "sessions.ics?availability=full"))
        assert two.headers["Cache-Control"].startswith("private")
        assert canaries.leaks(two.data) == set()

    def test_cannot_have_it_kept_or_listed_or_learn_where_it_was_read(self, site: Site) -> None:
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

    def test_find_its_address_in_no_log(self, site_of: Callable[..., Site]) -> None:
        site = site_of(log_level="debug", feed_max_bytes=2_000)
        address = sign(site, "venues/11.ics", "--counts")
        wrong = (address + "x", address[:-5], f"/cal{address}", address.upper(), f"/{address}")
        for path in (address, f"{address}?x=1", *wrong):
            site.client.get(path)
        token = address.removeprefix("/private/").removesuffix(".ics")
        assert "trimmed" in site.log.getvalue()
        for piece in (token, token.upper(), token[:60], token.rpartition(".")[2]):
            assert piece not in site.log.getvalue()
            assert all(piece.encode() not in answer.data for answer in site.operators())


class TestWhatIsNotThere:
    @pytest.fixture
    def addresses(self, site: Site, site_of: Callable[..., Site]) -> list[str]:
        good = sign(site, "venues/11.ics")
        token = good.removeprefix("/private/").removesuffix(".ics")
        revoked = sign(site, "venues/11.ics")
        site.parts.private.revoke(identity(site, revoked))
        forged = sign(site_of(signing_keys=("another",)), "venues/11.ics")
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

    def test_is_the_same_404_whatever_is_wrong(self, site: Site, addresses: list[str]) -> None:
        answers = [site.client.get(path) for path in addresses]
        for answer in answers:
            answer.headers.pop("X-Request-Id")
        assert {answer.status_code for answer in answers} == {404}
        assert len({answer.data for answer in answers}) == 1
        assert len({str(answer.headers) for answer in answers}) == 1

    def test_is_the_same_where_there_are_no_private_feeds(
        self, site: Site, site_of: Callable[..., Site]
    ) -> None:
        address = sign(site, "venues/11.ics")
        off = site_of(signing_keys=())
        answers = [site.client.get("/private/x.ics"), off.client.get(address)]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].data == answers[1].data

    def test_a_token_that_is_too_long_is_not_even_signed(self, site: Site) -> None:
        pairs = tuple(("venues", str(10**18 + 7919**4 * number)) for number in range(300))
        who = audience([Visibility.PUBLIC])
        with pytest.raises(ParameterError, match="too long"):
            site.parts.private.sign(Grant(Kind.SESSION, None, pairs, who))

    def test_the_longest_that_can_be_signed_can_be_read(self, site: Site) -> None:
        for count in range(100, 0, -1):
            ids = "%2C".join(str(10**18 + 7919**4 * number) for number in range(count))
            result = command(site, "sign", f"sessions.ics?venues={ids}")
            if result.exit_code == 0:
                assert site.client.get(result.stdout.strip()).status_code == 200
                return
        raise AssertionError("nothing can be signed")


class TestKeys:
    def test_an_old_key_opens_what_it_signed_until_it_is_removed(
        self, site_of: Callable[..., Site]
    ) -> None:
        address = sign(site_of(signing_keys=(OLD,)), "venues/11.ics")
        assert site_of(signing_keys=(NEW, OLD)).client.get(address).status_code == 200
        assert site_of(signing_keys=(NEW,)).client.get(address).status_code == 404

    def test_the_newest_signs(self, site_of: Callable[..., Site]) -> None:
        address = sign(site_of(signing_keys=(NEW, OLD)), "venues/11.ics")
        assert site_of(signing_keys=(NEW,)).client.get(address).status_code == 200
        assert site_of(signing_keys=(OLD,)).client.get(address).status_code == 404


class TestRevocation:
    def test_is_known_to_every_worker_within_a_minute(
        self, site_of: Callable[..., Site], hurried: HurriedClock
    ) -> None:
        store = MemoryStore(hurried)
        one, two, three = (site_of(store=store) for _ in range(3))
        address, other = sign(one, "venues/11.ics"), sign(one, "venues/11.ics")
        for site in (one, two, three):
            assert site.client.get(address).status_code == 200
        one.parts.private.revoke(identity(one, address))
        assert one.client.get(address).status_code == 404
        hurried.move(WITHIN_A_MINUTE)
        for site in (one, two, three, site_of(store=store)):
            assert site.client.get(address).status_code == 404
            assert site.client.get(other).status_code == 200

    def test_stays_though_the_store_is_lost(
        self, site_of: Callable[..., Site], hurried: HurriedClock
    ) -> None:
        store = MemoryStore(hurried)
        site, another = site_of(store=store), site_of(store=store)
        address = sign(site, "venues/11.ics")
        revoked = identity(site, address)
        site.parts.private.revoke(revoked)
        assert another.client.get(address).status_code == 404
        store.close()
        hurried.move(10 * WITHIN_A_MINUTE)
        assert another.client.get(address).status_code == 404
        told = site_of(store=store, revoked=frozenset([revoked]))
        assert told.client.get(address).status_code == 404

    @pytest.mark.parametrize("by", ["address", "id", "whole address", "other form"])
    def test_by_command(self, site_of: Callable[..., Site], hurried: HurriedClock, by: str) -> None:
        site = site_of(
            store=MemoryStore(hurried), cache_url="sqlite:///x", revoked=frozenset(["0" * 16])
        )
        address = sign(site, "venues/11.ics")
        revoked = identity(site, address)
        given = {
            "address": address,
            "id": revoked,
            "whole address": f"https://calendar.example.org{address}?x=1",
            "other form": address.replace(".ics", ".json"),
        }[by]
        for _ in range(2):
            result = command(site, "revoke", given)
            assert result.exit_code == 0
            # together with what is revoked already: the line is to be pasted as it is
            assert result.stdout == f"FEED_REVOKED={','.join(sorted(['0' * 16, revoked]))}\n"
        assert site.client.get(address).status_code == 404

    def test_says_where_it_cannot_reach(self, site: Site) -> None:
        result = command(site, "revoke", identity(site, sign(site)))
        assert result.exit_code == 1
        assert result.stdout.startswith("FEED_REVOKED=")
        assert "restart" in result.stderr

    @pytest.mark.parametrize("given", ["/private/x.ics", "x", "", "0123", "/venues/11.ics"])
    def test_of_what_was_never_signed_is_refused(self, site: Site, given: str) -> None:
        result = command(site, "revoke", given)
        assert result.exit_code == 1
        assert "FEED_REVOKED" not in result.output


class TestSigning:
    def test_prints_the_address_last_below_the_bridges_own(
        self, site_of: Callable[..., Site]
    ) -> None:
        site = site_of(public_base_url="https://calendar.example.org")
        assert re.fullmatch(
            r"https://calendar\.example\.org/private/[\w.-]+\.txt", sign(site, "venues/11.txt")
        )

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["sessions.ics", "--visibility", "everyone"], "membership_holders"),
            (["sessions.ics", "--visibility", ""], "membership_holders"),
            (["sessions.ics?venue=1"], "venues"),
            (["private/x.ics"], "is no feed"),
        ],
    )
    def test_refuses_what_would_not_work(self, site: Site, arguments: list[str], said: str) -> None:
        result = command(site, "sign", *arguments)
        assert result.exit_code == 1
        assert said in result.stderr
        assert result.stdout == ""

    def test_without_a_key_names_the_variable(self, site_of: Callable[..., Site]) -> None:
        result = command(site_of(signing_keys=()), "sign", "sessions.ics")
        assert result.exit_code == 1
        assert "FEED_SIGNING_KEYS" in result.stderr

    def test_two_of_the_same_feed_are_ended_one_by_one(self, site: Site) -> None:
        one, two = sign(site, "venues/11.ics"), sign(site, "venues/11.ics")
        assert one != two
        site.parts.private.revoke(identity(site, one))
        statuses = [site.client.get(address).status_code for address in (one, two)]
        assert statuses == [404, 200]

    def test_more_about_places_than_the_public_may_know_can_be_signed(
        self, site_of: Callable[..., Site]
    ) -> None:
        site = site_of(public_availability=Availability.NONE)
        query = "sessions.json?occupancy_status=full&availability=spots"
        told: Any = site.client.get(sign(site, query)).json
        assert [one["availability"] for one in told] == ["full"]
        assert studios.FULL
