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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.config.parsers import SettingError

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

_HOME = Path(__file__).parent.parent.parent
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
_MAX_BYTES = 4_000_000
_ACCEPTED = 'a TOML file with a table for each studio: [[studio]], slug = "…", token_file = "…"'


@dataclass(frozen=True, slots=True)
class StudioTable:
    """One studio's table.

    Attributes:
        slug: the name in its addresses.
        hosts: host names at which it is served, in lower case.
        values: the texts of its settings, by environment variable.
    """

    slug: str
    hosts: tuple[str, ...]
    values: Mapping[str, str]

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
        base = common.get("PUBLIC_BASE_URL", "").strip().rstrip("/")
        if base and "PUBLIC_BASE_URL" not in given:
            scheme = base.partition(":")[0]
            own_host = f"{scheme}://{self.hosts[0]}" if self.hosts else ""
            common["PUBLIC_BASE_URL"] = own_host or f"{base}/s/{self.slug}"
        return common | dict(self.values)

    def unknown_keys(self, names: Collection[str]) -> dict[str, str]:
        """What to say of keys that are no setting of a studio.

        Args:
            names: of all settings.
        """
        found = {}
        for name in self.values:
            if name in OF_SERVER:
                found[name] = "belongs to the server; accepted: the environment variable"
            elif name not in names:
                accepted = [key for key in names if key not in OF_SERVER]
                likely = difflib.get_close_matches(name, accepted, 1)
                hint = f"did you mean {likely[0].lower()}?" if likely else "README.md lists them"
                found[name] = f"is not a setting; {hint}"
        return found

    def key_of(self, variable: str) -> str:
        """How an error names a setting of this studio."""
        return f"STUDIOS, {self.slug}, {variable.lower()}"


def studio_tables(text: str) -> tuple[StudioTable, ...]:
    """Read the file at the path *text*; a relative one is below the directory of ``app.py``.

    Raises:
        SettingError: the file, or a table in it, cannot be used. It quotes no value.
    """
    path = _HOME / text
    quoted = repr(text[:200])
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise SettingError(f"{quoted} has more than {_MAX_BYTES} bytes; accepted: {_ACCEPTED}")
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        reason = err.strerror or "it cannot be opened"
        raise SettingError(f"{quoted} cannot be read: {reason}; accepted: {_ACCEPTED}") from err
    except ValueError as err:
        # Without the cause: it may quote a secret.
        where = re.search(r"\(at [^)]*\)$", str(err))
        place = f" {where[0]}" if where else ""
        raise SettingError(f"{quoted} is not TOML{place}; accepted: {_ACCEPTED}") from None
    others = content.keys() - {"studio"}
    rows = content.get("studio")
    if others or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise SettingError(f"{quoted} has other tables, or none; accepted: {_ACCEPTED}")
    tables = tuple(_table(number, row) for number, row in enumerate(rows, 1))
    _check_unique("slug", [table.slug for table in tables])
    _check_unique("host", [host for table in tables for host in table.hosts])
    return tables


def misplaced(environment: Mapping[str, str]) -> dict[str, str]:
    """What to say of environment variables that only tables may have."""
    return {
        name: "belongs to one studio; accepted: the same in a table of STUDIOS"
        for name in sorted(OWN)
        if environment.get(name, "").strip()
    }


def _table(number: int, row: Mapping[str, Any]) -> StudioTable:
    slug, hosts = row.get("slug"), row.get("hosts", [])
    if not isinstance(slug, str) or not _SLUG.fullmatch(slug):
        accepted = "slug = with lower-case letters, digits and hyphens"
        raise SettingError(f"the slug of studio {number} cannot be used; accepted: {accepted}")
    if not isinstance(hosts, list) or not all(
        isinstance(host, str) and _HOST.fullmatch(host.lower()) for host in hosts
    ):
        accepted = 'host names without a port, such as hosts = ["calendar.example.com"]'
        raise SettingError(f"the hosts of {slug} cannot be used; accepted: {accepted}")
    values: dict[str, str] = {}
    for key, value in row.items():
        if key in ("slug", "hosts"):
            continue
        name = SHORT_NAMES.get(key, key.upper())
        if name in values:
            raise SettingError(f"{slug} has {name.lower()} twice; accepted: one of its two names")
        values[name] = _text(slug, key, value)
    return StudioTable(slug, tuple(dict.fromkeys(host.lower() for host in hosts)), values)


def _text(slug: str, key: str, value: Any) -> str:
    """A value of TOML as the text of an environment variable."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str | int) for item in value):
        return ",".join(map(str, value))
    accepted = "a text, a whole number, true, false, or a list of texts"
    raise SettingError(f"{key} of {slug} cannot be used; accepted: {accepted}")


def _check_unique(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise SettingError(f"two studios have the {what} {name}; accepted: a different one")
        seen.add(name)
