"""The file of studios: what is accepted, and how each mistake is named."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge import config
from bridge.config import Availability, Config
from bridge.config.studio_tables import studio_tables
from bridge.errors import ConfigError

SECRET = "a-secret-that-no-error-may-quote"
ONE = f'[[studio]]\nslug = "one"\ntoken = "{SECRET}"\n'
TWO = f'[[studio]]\nslug = "two"\ntoken = "{SECRET}2"\n'


def load(folder: Path, text: str, **variables: str) -> dict[str, Config]:
    """The settings of the studios by slug."""
    path = folder / "studios.toml"
    path.write_text(text, encoding="utf-8")
    server = config.load({"STUDIOS": str(path), "CACHE_URL": "memory://", **variables})
    return {studio.slug: studio for studio in server.studios}


def problems(folder: Path, text: str, **variables: str) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, **variables)
    assert SECRET not in str(caught.value)
    return dict(caught.value.problems)


def test_each_table_is_a_studio_with_its_own_settings(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file\n", encoding="utf-8")
    studios = load(
        tmp_path,
        f"""
        [[studio]]
        slug = "riverside"
        name = "Riverside Yoga"
        token_file = "{tmp_path / "token"}"
        provider = 123
        mode = "provider"
        hosts = ["Classes.Riverside.example"]
        cache_ttl = 600
        refresh_ahead = false
        feed_signing_keys = ["one key", "another"]
        {TWO}
        """,
        CACHE_TTL="900",
        PUBLIC_AVAILABILITY="none",
        OPERATOR_TOKEN="of the server",
    )
    riverside, two = studios["riverside"], studios["two"]
    assert (riverside.token, riverside.provider_id) == ("from-a-file", "123")
    assert (riverside.studio_name, riverside.request_mode) == ("Riverside Yoga", "provider")
    assert riverside.hosts == ("classes.riverside.example",)
    assert (riverside.cache_ttl, two.cache_ttl) == (600, 900)
    assert (riverside.refresh_ahead, two.refresh_ahead) == (False, True)
    assert (riverside.signing_keys, two.signing_keys) == (("one key", "another"), ())
    assert (two.studio_name, two.provider_id, two.hosts) == ("", None, ())
    for studio in (riverside, two):
        assert studio.public_availability is Availability.NONE
        assert studio.operator_token == "of the server"


def test_a_secret_of_the_table_replaces_the_file_of_the_environment(tmp_path: Path) -> None:
    (tmp_path / "alerts").write_text("https://hooks.example/server", encoding="utf-8")
    text = f'{ONE}alert_url = "https://hooks.example/one"\n{TWO}'
    studios = load(tmp_path, text, ALERT_URL_FILE=str(tmp_path / "alerts"))
    assert studios["one"].alert_url == "https://hooks.example/one"
    assert studios["two"].alert_url == "https://hooks.example/server"


def test_without_a_token_a_studio_needs_its_provider(tmp_path: Path) -> None:
    text = '[[studio]]\nslug = "one"\nteamup_auth_scheme = "none"\n'
    assert list(problems(tmp_path, text)) == ["STUDIOS, one, teamup_provider_id"]
    assert load(tmp_path, f"{text}provider = 7\n")["one"].provider_id == "7"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "has no table of a studio"),
        ("[studio]\nslug = 'one'", "has studio instead of [[studio]]"),
        ("studio = 3", "has studio instead of [[studio]]"),
        (f"[[studios]]\nslug = 'one'\n{ONE}", "has 'studios' outside of the tables of studios"),
        (f"[[studio]]\ntoken = {SECRET}", "is not TOML (at line 2, column 9)"),
        ("[[studio]]\n", "studio 1 has no slug"),
        (f"{ONE}[[studio]]\nslug = 'Two'", "studio 2 has the slug 'Two', which cannot be used"),
        ("[[studio]]\nslug = 'a/b'", "studio 1 has the slug 'a/b'"),
        (f"[[studio]]\nslug = '{'a' * 200}'", "accepted: at most 63 lower-case letters"),
        ("[[studio]]\nslug = 5", "studio 1 has the slug 5"),
        (f"{ONE}{TWO}{ONE}", "studio 1 and studio 3 have the slug one"),
        (f"{ONE}hosts = 'a.example'", "hosts of one cannot be 'a.example'; accepted: a list"),
        (f"{ONE}hosts = ['b.example', 'a.example:80']", "hosts of one cannot be 'a.example:80'"),
        (f"{ONE}hosts = ['https://a.example']", "hosts of one cannot be 'https://a.example'"),
        (f"{ONE}hosts = ['a..example']", "hosts of one cannot be 'a..example'"),
        (f"{ONE}hosts = [7]", "hosts of one cannot be 7"),
        (
            f"{ONE}hosts = ['a.example']\n{TWO}hosts = ['b.example', 'A.example']",
            "one and two have the host a.example",
        ),
        (f"{ONE}cache_ttl = 3\nCACHE_TTL = 4", "one has cache_ttl twice"),
        (f"{ONE}feed_signing_keys = ['{SECRET},2']", "a list of texts without commas"),
        (f"{ONE}feed_signing_keys = [true]", "feed_signing_keys of one cannot be used"),
        (f"{ONE}teamup_api_token = 'x'", "one has teamup_api_token twice"),
        (f"{ONE}cache_ttl = 1.5", "cache_ttl of one cannot be used"),
        (f"{ONE}cache_ttl = {{}}", "cache_ttl of one cannot be used"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    found = problems(tmp_path, text)
    assert list(found) == ["STUDIOS"]
    assert expected in found["STUDIOS"]
    assert "accepted:" in found["STUDIOS"]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda path: path.mkdir(), "cannot be read: it is not a regular file"),
        (os.mkfifo, "cannot be read: it is not a regular file"),
        (lambda path: path.write_bytes(f"{ONE}name = 'é'".encode("latin-1")), "is not UTF-8"),
        (lambda path: path.write_bytes(ONE.encode("utf-16")), "is not UTF-8"),
        (lambda path: path.write_bytes(bytes(4_000_001)), "it has more than 4000000 bytes"),
    ],
    ids=["directory", "pipe", "Latin-1", "UTF-16", "too long"],
)
def test_what_is_no_text_file_is_refused(
    tmp_path: Path, make: Callable[[Path], object], expected: str
) -> None:
    make(tmp_path / "studios.toml")
    with pytest.raises(ConfigError) as caught:
        config.load({"STUDIOS": str(tmp_path / "studios.toml")})
    assert expected in caught.value.problems["STUDIOS"]
    assert SECRET not in str(caught.value)


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    assert list(load(tmp_path, f"\ufeff{ONE}{TWO}")) == ["one", "two"]


def test_a_pipe_is_no_logo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "logo.svg")
    found = problems(tmp_path, f'{ONE}studio_logo = "{tmp_path}/logo.svg"\n')
    assert "it is not a regular file" in found["STUDIOS, one, studio_logo"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"STUDIOS: '.*none.toml' cannot be read: No such file"):
        config.load({"STUDIOS": str(tmp_path / "none.toml")})


@pytest.mark.parametrize(
    ("line", "key", "expected"),
    [
        ("cache_ttl = 0", "cache_ttl", "accepted: a whole number"),
        ("cache_tll = 1", "cache_tll", "is not a setting; did you mean cache_ttl?"),
        ("colour = 'red'", "colour", "is not a setting; README.md lists them"),
        ("tokn = 'x'", "tokn", "is not a setting; did you mean token?"),
        ("host = 'a.example'", "host", "the environment variable HOST; did you mean hosts?"),
        ("cache_ttl = true", "cache_ttl", "'true' cannot be used"),
        ("port = 80", "port", "belongs to the server; accepted: the environment variable"),
        ("cache_url = 'memory://'", "cache_url", "belongs to the server"),
        ("studios = 'more.toml'", "studios", "belongs to the server"),
        ("token_file = '/none'", "teamup_api_token_file", "is set, and TEAMUP_API_TOKEN as well"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_with_its_studio(
    tmp_path: Path, line: str, key: str, expected: str
) -> None:
    found = problems(tmp_path, f"{ONE}{line}\n{TWO}")
    assert list(found) == [f"STUDIOS, one, {key}"]
    assert expected in found[f"STUDIOS, one, {key}"]


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path, '[[studio]]\nslug = "one"\ncache_ttl = 0\n[[studio]]\nslug = "two"\n', PORT="x"
    )
    assert set(found) == {
        "PORT",
        "STUDIOS, one, teamup_api_token",
        "STUDIOS, one, cache_ttl",
        "STUDIOS, two, teamup_api_token",
    }


def test_a_mistake_in_the_environment_is_named_once(tmp_path: Path) -> None:
    assert list(problems(tmp_path, ONE + TWO, CACHE_TTL="x")) == ["CACHE_TTL"]
    assert list(problems(tmp_path, ONE + TWO, WEB_CONCURRENCY="2")) == ["CACHE_URL"]


@pytest.mark.parametrize(
    "name", ["TEAMUP_API_TOKEN", "FEED_SIGNING_KEYS_FILE", "TEAMUP_PROVIDER_ID", "STUDIO_NAME"]
)
def test_what_belongs_to_one_studio_is_not_taken_from_the_environment(
    tmp_path: Path, name: str
) -> None:
    found = problems(tmp_path, ONE, **{name: SECRET})
    assert found[name] == "belongs to one studio; accepted: the same in a table of STUDIOS"


def test_two_studios_cannot_sign_with_one_key(tmp_path: Path) -> None:
    text = f'{ONE}feed_signing_keys = ["a", "{SECRET}"]\n{TWO}feed_signing_keys = "b,{SECRET}"\n'
    found = problems(tmp_path, text)
    assert found == {
        "STUDIOS, two, feed_signing_keys": (
            "one has the same key; accepted: keys that no other studio has"
        )
    }


def test_a_studio_cannot_revoke_what_is_not_the_id_of_a_feed(tmp_path: Path) -> None:
    found = problems(tmp_path, f'{ONE}feed_revoked = ["{"0" * 16}", "{SECRET}"]\n')
    assert list(found) == ["STUDIOS, one, feed_revoked"]
    assert SECRET not in str(found)


def test_an_empty_text_switches_off_what_the_environment_has_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "alerts").write_text("https://hooks.example/server", encoding="utf-8")
    text = f'{ONE}alert_url = ""\n{TWO}'
    studios = load(tmp_path, text, ALERT_URL_FILE=str(tmp_path / "alerts"))
    assert studios["one"].alert_url is None


def test_a_host_may_be_repeated_in_its_own_table(tmp_path: Path) -> None:
    studios = load(tmp_path, f'{ONE}hosts = ["a.example", "A.example"]\n')
    assert studios["one"].hosts == ("a.example",)


def test_the_public_address_of_a_studio_cannot_lead_to_another(tmp_path: Path) -> None:
    base = {"PUBLIC_BASE_URL": "https://Calendars.example"}
    text = f'{ONE}hosts = ["calendars.example"]\n'
    assert load(tmp_path, text, **base)["one"].public_base_url == "https://calendars.example"
    found = problems(tmp_path, text + TWO, **base)
    assert "is in the public address of two" in found["STUDIOS, one, hosts"]
    dotted = 'public_base_url = "https://Calendars.example./"\n'
    found = problems(tmp_path, text + TWO + dotted)
    assert "is in the public address of two" in found["STUDIOS, one, hosts"]
    address = 'public_base_url = "https://a.example"\n'
    for same in (address, address.replace("a.", "A.")):
        found = problems(tmp_path, ONE + address + TWO + same)
        assert "one has the same address" in found["STUDIOS, two, public_base_url"]
    below = 'public_base_url = "https://a.example/x/s/one"\n'
    assert load(tmp_path, ONE + below + TWO)["one"].public_base_url
    found = problems(tmp_path, ONE + TWO + below)
    assert "one is at this address" in found["STUDIOS, two, public_base_url"]


def test_a_token_that_two_studios_have_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(SECRET, encoding="utf-8")
    same = f'[[studio]]\nslug = "two"\ntoken_file = "{tmp_path}/token"\n'
    without = 'teamup_auth_scheme = "none"\nprovider = {}\n'
    anonymous = "".join(f'[[studio]]\nslug = "{n}"\n{without.format(n)}' for n in (3, 4))
    path = tmp_path / "studios.toml"
    path.write_text(ONE + same + anonymous, encoding="utf-8")
    server = config.load({"STUDIOS": str(path), "CACHE_URL": "memory://"})
    [warning] = [text for text in config.warnings_about(server) if "token" in text]
    assert warning.startswith("one and two have the same token")


def test_no_value_of_a_table_is_in_its_repr(tmp_path: Path) -> None:
    path = tmp_path / "studios.toml"
    path.write_text(ONE, encoding="utf-8")
    (table,) = studio_tables(str(path))
    assert table.values == {"TEAMUP_API_TOKEN": SECRET}
    assert SECRET not in repr(table)


def test_the_address_of_the_server_may_end_with_an_empty_query(tmp_path: Path) -> None:
    studios = load(tmp_path, ONE, PUBLIC_BASE_URL="https://example.org/calendars/?")
    assert studios["one"].public_base_url == "https://example.org/calendars/s/one"
