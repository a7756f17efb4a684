"""The file ``STUDIOS``: one table for each of several studios in one deployment.

    [[studio]]
    slug = "riverside"
    name = "Riverside Yoga"
    hosts = ["calendar.riverside.example"]
    token_file = "/run/secrets/riverside"
    cache_ttl = 600

Each key is a setting in lower case, or one of the short names in :data:`SHORT_NAMES`. A setting
that a table does not have comes from the environment, except for those of :data:`OWN`.
"""

import difflib
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.config.parsers import SettingError, read_file
from bridge.config.settings import STUDIOS_PATH

SHORT_NAMES = {
    "name": "STUDIO_NAME",
    "token": "TEAMUP_API_TOKEN",
    "token_file": "TEAMUP_API_TOKEN_FILE",
    "provider": "TEAMUP_PROVIDER_ID",
    "mode": "TEAMUP_REQUEST_MODE",
}

OWN = frozenset(
    "TEAMUP_API_TOKEN TEAMUP_API_TOKEN_FILE TEAMUP_PROVIDER_ID FEED_SIGNING_KEYS"
    " FEED_SIGNING_KEYS_FILE FEED_REVOKED CHANGES_URL CHANGES_URL_FILE CHANGES_KEY CHANGES_KEY_FILE"
    " STUDIO_NAME STUDIO_URL STUDIO_LOGO STUDIO_COLOR".split()
)
"""What only tables may have, because it identifies a studio, or unlocks something of it."""

OF_SERVER = frozenset(
    "STUDIOS HOST PORT WEB_CONCURRENCY CACHE_URL CACHE_URL_FILE REDIS_URL REDIS_URL_FILE"
    " CACHE_MAX_BYTES LOG_LEVEL LOG_FORMAT LOG_REQUESTS TRUSTED_PROXIES DYNO BRIDGE_SANDBOX".split()
)
"""What only the environment may have, because the studios share it."""

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_SLUG = re.compile(_LABEL)
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_MAX_BYTES = 4_000_000
_ACCEPTED = 'a TOML file with a table for each studio: [[studio]], slug = "…", token_file = "…"'


@dataclass(frozen=True, slots=True)
class StudioTable:
    """One studio's table.

    Attributes:
        slug: the name in its addresses.
        hosts: host names at which it is served, in lower case.
        values: the texts of its settings, secrets included, by environment variable.
    """

    slug: str
    hosts: tuple[str, ...]
    values: Mapping[str, str] = field(repr=False)

    def values_among(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The texts of all settings of the studio.

        Args:
            environment: the server's, which has the defaults.
        """
        common = {name: text for name, text in environment.items() if name not in OWN}
        given = {name.removesuffix("_FILE") for name in self.values}
        for name in given:
            common.pop(name, None)
            common.pop(f"{name}_FILE", None)
        base = common.get("PUBLIC_BASE_URL", "").strip().rstrip("/?#")
        if base and "PUBLIC_BASE_URL" not in given:
            scheme = base.partition(":")[0]
            own_host = f"{scheme}://{self.hosts[0]}" if self.hosts else ""
            common["PUBLIC_BASE_URL"] = own_host or f"{base}{STUDIOS_PATH}{self.slug}"
        return common | dict(self.values)

    def unknown_keys(self, names: Collection[str]) -> dict[str, str]:
        """Problems, by variable: keys that are no setting of a studio.

        Args:
            names: of all settings.
        """
        settings = {name.lower() for name in names if name not in OF_SERVER}
        accepted = [*sorted(settings), *SHORT_NAMES, "slug", "hosts"]
        found = {}
        for name in self.values:
            likely = difflib.get_close_matches(name.lower(), accepted, 1)
            hint = f"did you mean {likely[0]}?" if likely else ""
            if name in OF_SERVER:
                text = f"belongs to the server; accepted: the environment variable {name}"
                found[name] = f"{text}; {hint}" if hint else text
            elif name not in names:
                found[name] = f"is not a setting; {hint or 'README.md lists them'}"
        return found

    def key_of(self, variable: str) -> str:
        """How an error names a setting of this studio."""
        return f"STUDIOS, {self.slug}, {variable.lower()}"


def studio_tables(text: str) -> tuple[StudioTable, ...]:
    """Read the file at the path *text*; a relative one is below the directory of ``app.py``.

    Raises:
        SettingError: the file, or a table in it, cannot be used. It quotes no setting.
    """
    quoted = repr(text[:200])
    raw = read_file(text, _MAX_BYTES, _ACCEPTED)
    try:
        # Some editors begin a file with a byte order mark.
        content = tomllib.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        # Without the cause: it may quote a secret.
        raise SettingError(f"{quoted} is not UTF-8; accepted: {_ACCEPTED}") from None
    except ValueError as err:
        where = re.search(r"\(at [^)]*\)$", str(err))
        place = f" {where[0]}" if where else ""
        raise SettingError(f"{quoted} is not TOML{place}; accepted: {_ACCEPTED}") from None
    rows = content.pop("studio", [])
    if content:
        problem = f"has {next(iter(content))!r} outside of the tables of studios"
    elif not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        problem = "has studio instead of [[studio]]"
    elif not rows:
        problem = "has no table of a studio"
    else:
        tables = tuple(_table(number, row) for number, row in enumerate(rows, 1))
        _check_unique("slug", [(f"studio {n}", t.slug) for n, t in enumerate(tables, 1)])
        _check_unique("host", [(table.slug, host) for table in tables for host in table.hosts])
        return tables
    raise SettingError(f"{quoted} {problem}; accepted: {_ACCEPTED}")


def misplaced(environment: Mapping[str, str]) -> dict[str, str]:
    """Problems, by variable: those of the environment that only tables may have."""
    return {
        name: "belongs to one studio; accepted: the same in a table of STUDIOS"
        for name in sorted(OWN)
        if environment.get(name, "").strip()
    }


def _table(number: int, row: Mapping[str, Any]) -> StudioTable:
    fields = {key.lower(): value for key, value in row.items()}
    slug, hosts = fields.get("slug"), fields.get("hosts", [])
    if not isinstance(slug, str) or not _SLUG.fullmatch(slug):
        problem = "no slug" if slug is None else f"the slug {slug!r:.80}, which cannot be used"
        accepted = 'at most 63 lower-case letters, digits and hyphens, as in slug = "riverside"'
        raise SettingError(f"studio {number} has {problem}; accepted: {accepted}")
    for host in hosts if isinstance(hosts, list) else [hosts]:
        if isinstance(hosts, list) and isinstance(host, str) and _HOST.fullmatch(host.lower()):
            continue
        accepted = 'a list of host names without a port, as in hosts = ["calendar.example.com"]'
        raise SettingError(f"hosts of {slug} cannot be {host!r:.80}; accepted: {accepted}")
    values: dict[str, str] = {}
    for key, value in row.items():
        if key.lower() in ("slug", "hosts"):
            continue
        name = SHORT_NAMES.get(key.lower(), key.upper())
        if name in values:
            raise SettingError(f"{slug} has {name.lower()} twice; accepted: one of its two names")
        values[name] = _text(slug, key, value)
    return StudioTable(slug, tuple(dict.fromkeys(host.lower() for host in hosts)), values)


def _text(slug: str, key: str, value: Any) -> str:
    """A value of TOML as the text of an environment variable."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, list) and all(type(item) in (str, int) for item in value):
        texts = [str(item) for item in value]
        if not any(separator in text for text in texts for separator in ",\n"):
            return ",".join(texts)
        accepted = "a list of texts without commas and line breaks"
    else:
        accepted = "a text, a whole number, true, false, or a list of texts"
    raise SettingError(f"{key} of {slug} cannot be used; accepted: {accepted}")


def _check_unique(what: str, names: Iterable[tuple[str, str]]) -> None:
    """Check that no two of *names* are equal.

    Args:
        names: each with the studio that has it.
    """
    owners: dict[str, str] = {}
    for studio, name in names:
        if name in owners:
            both = f"{owners[name]} and {studio}"
            raise SettingError(f"{both} have the {what} {name}; accepted: a different one for each")
        owners[name] = studio
