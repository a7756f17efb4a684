"""Reads and validates the settings. All defaults are here."""

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from bridge.config.parsers import (
    AUTO_SCHEMES,
    MODES,
    base_url,
    colour,
    feed_ids,
    header,
    interface,
    language,
    lines,
    link,
    logo,
    member,
    members,
    origins,
    schemes,
    secret_header,
    store,
    switch,
    title,
    upstream,
    webhook,
    whole,
    word,
    zone_name,
)
from bridge.config.settings import Availability, Config, ListStyle, LogRequests, UpstreamPlan
from bridge.config.studio_tables import StudioTable, misplaced, studio_tables
from bridge.config.variables import Variables, environment, is_set, names_in_file
from bridge.errors import ConfigError
from bridge.languages import english
from bridge.model import SourceName, Visibility

SANDBOX_FLAG = "BRIDGE_SANDBOX"
"""Set by ``make run`` when it serves the bundled studio; nobody else sets it."""


def has_account(values: Mapping[str, str]) -> bool:
    """Whether *values* have a token, or studios, or say that TeamUp is asked without a token."""
    scheme = values.get("TEAMUP_AUTH_SCHEME", "").strip()
    with_token = is_set(values, "TEAMUP_API_TOKEN") or is_set(values, "STUDIOS")
    return with_token or scheme.lower() == "none"


_checked: list[Config] = []


def use(settings: Config) -> None:
    """Let :func:`load` return *settings* in this process, whose server has checked them."""
    _checked[:] = [settings]


def load(values: Mapping[str, str] | None = None) -> Config:
    """Read the settings of the bridge, and of all studios if there are several.

    Args:
        values: by default those of :func:`~bridge.config.variables.environment`.

    Raises:
        ConfigError: it names every setting that cannot be used, and what would be accepted.
    """
    if values is None and _checked:
        return _checked[0]
    in_file = names_in_file() if values is None else []
    values = environment() if values is None else values
    variables = Variables(values)
    no_tables: tuple[StudioTable, ...] = ()
    tables = variables.read("STUDIOS", studio_tables, no_tables)
    config = _read(variables)
    unknown = _unknown(in_file, variables.names)
    if not tables:
        variables.problems |= _store_problems(config)
        _check(variables, config, unknown)
        return replace(config, unknown_variables=unknown)
    problems = {**variables.problems, **misplaced(values), **_store_problems(config)}
    studios = []
    for table in tables:
        own = Variables(table.values_among(values))
        studio = _read(own)
        try:
            own.problems |= table.unknown_keys(own.names)
            _check(own, studio, {})
        except ConfigError as err:
            problems |= {
                table.key_of(name): text
                for name, text in err.problems.items()
                # Already reported for the server: the value comes from the environment.
                if variables.problems.get(name) != text
            }
        studios.append(replace(studio, slug=table.slug, hosts=table.hosts))
    problems |= _shared_keys(studios) | _others_addresses(studios)
    if problems:
        raise ConfigError({**problems, **unknown})
    return replace(config, studios=tuple(studios), unknown_variables=unknown)


def _shared_keys(studios: Iterable[Config]) -> dict[str, str]:
    """Problems, by setting: studios that sign private feeds with the key of another one."""
    owners: dict[str, str] = {}
    found: dict[str, str] = {}
    for studio in studios:
        for key in studio.signing_keys or ():
            if owners.setdefault(key, studio.slug) != studio.slug:
                found[f"STUDIOS, {studio.slug}, feed_signing_keys"] = (
                    f"{owners[key]} has the same key; accepted: keys that no other studio has"
                )
    return found


def _others_addresses(studios: Iterable[Config]) -> dict[str, str]:
    """Problems, by setting: studios whose public address is that of another one."""
    studios = tuple(studios)
    owners = {host: studio.slug for studio in studios for host in studio.hosts}
    by_path = {studio.prefix: studio.slug for studio in studios}
    addresses: dict[tuple[str, str], str] = {}
    found: dict[str, str] = {}
    for studio in studios:
        slug = studio.slug
        if studio.public_base_url is None:
            continue
        base = urlsplit(studio.public_base_url)
        host = (base.hostname or "").rstrip(".")
        path_owner = next((by_path[path] for path in by_path if base.path.endswith(path)), slug)
        if owners.get(host, slug) != slug:
            found[f"STUDIOS, {owners[host]}, hosts"] = (
                f"{host} is in the public address of {slug}, which could not be reached there;"
                " accepted: hosts at which no other studio is"
            )
        elif path_owner != slug:
            found[f"STUDIOS, {slug}, public_base_url"] = (
                f"{path_owner} is at this address; accepted: one of this studio"
            )
        elif addresses.setdefault((base.netloc.lower(), base.path), slug) != slug:
            other = addresses[base.netloc.lower(), base.path]
            found[f"STUDIOS, {slug}, public_base_url"] = (
                f"{other} has the same address; accepted: one of this studio"
            )
    return found


def _read(variables: Variables) -> Config:
    """Read one value of each setting."""
    read, read_secret = variables.read, variables.read_secret
    # Heroku's dynos, and platforms like it, start with an empty disk each time.
    dyno = read("DYNO", str, "") != ""
    by_platform = variables.is_set("REDIS_URL") and not variables.is_set("CACHE_URL")
    store_variable = "REDIS_URL" if by_platform else "CACHE_URL"
    cache_url = read_secret(store_variable, store, "sqlite:///var/bridge.sqlite3")
    if cache_url and dyno and store_variable == "REDIS_URL":
        cache_url = _unverified(cache_url)
    none: tuple[str, ...] = ()
    return Config(
        token=read_secret("TEAMUP_API_TOKEN", secret_header, ""),
        schemes=read("TEAMUP_AUTH_SCHEME", schemes, AUTO_SCHEMES),
        sources=read("TEAMUP_SOURCES", members(SourceName), frozenset(SourceName)),
        base_url=read("TEAMUP_BASE_URL", upstream, "https://goteamup.com/api/v2"),
        provider_id=read("TEAMUP_PROVIDER_ID", header, None),
        request_mode=read("TEAMUP_REQUEST_MODE", word(*MODES), None),
        list_style=read("TEAMUP_LIST_STYLE", member(ListStyle), ListStyle.CSV),
        requests_per_minute=read("TEAMUP_REQUESTS_PER_MINUTE", whole(least=1), 200),
        page_concurrency=read("TEAMUP_PAGE_CONCURRENCY", whole(least=1, most=32), 4),
        walk_max_rows=read("WALK_MAX_ROWS", whole(least=1), 100_000),
        walk_max_bytes=read("WALK_MAX_BYTES", whole(least=1), 256 * 1024 * 1024),
        plan=read("UPSTREAM_PLAN", member(UpstreamPlan), UpstreamPlan.WIDE),
        cache_url=cache_url,
        store_variable=store_variable,
        cache_ttl=read("CACHE_TTL", whole(least=1), 300),
        stale_while_revalidate=read("STALE_WHILE_REVALIDATE", whole(), 3600),
        stale_if_error=read("STALE_IF_ERROR", whole(), 604800),
        refresh_ahead=read("REFRESH_AHEAD", switch, True),
        cache_max_bytes=read("CACHE_MAX_BYTES", whole(), 64 * 1024 * 1024),
        window_past_days=read("WINDOW_PAST_DAYS", whole(most=365), 30),
        window_future_days=read("WINDOW_FUTURE_DAYS", whole(most=365), 90),
        feed_max_bytes=read("FEED_MAX_BYTES", whole(), 1_000_000),
        public_horizon_days=read("PUBLIC_HORIZON_DAYS", whole(most=3650), None),
        public_visibility=read(
            "PUBLIC_VISIBILITY", members(Visibility), frozenset((Visibility.PUBLIC,))
        ),
        public_availability=read("PUBLIC_AVAILABILITY", member(Availability), Availability.FULL),
        shrink_hold=read("SHRINK_HOLD", whole(), 21600),
        alert_url=read_secret("ALERT_URL", webhook, None),
        changes_url=read_secret("CHANGES_URL", webhook, None),
        changes_key=read_secret("CHANGES_KEY", str, None),
        public_base_url=read("PUBLIC_BASE_URL", base_url, None),
        signing_keys=read_secret("FEED_SIGNING_KEYS", lines, none),
        revoked=frozenset(read("FEED_REVOKED", feed_ids, none) or ()),
        log_level=read("LOG_LEVEL", word("debug", "info", "warning", "error", "critical"), "info"),
        log_format=read("LOG_FORMAT", word("json", "console"), "json"),
        log_requests=read("LOG_REQUESTS", member(LogRequests), LogRequests.MISSES),
        embed_allowed_origins=read("EMBED_ALLOWED_ORIGINS", origins, ("*",)),
        catalog=read("CATALOG", switch, True),
        studio_name=read("STUDIO_NAME", title, ""),
        studio_url=read("STUDIO_URL", link, None),
        studio_logo=read("STUDIO_LOGO", logo, None),
        studio_color=read("STUDIO_COLOR", colour, None),
        studio_timezone=read("STUDIO_TIMEZONE", zone_name, None),
        feed_language=read("FEED_LANGUAGE", language, english()),
        trusted_proxies=read("TRUSTED_PROXIES", whole(most=16), 0),
        operator_token=read_secret("OPERATOR_TOKEN", str, None),
        host=read("HOST", interface, "0.0.0.0"),  # noqa: S104 - a platform's router must reach it
        port=read("PORT", whole(most=65535), 8000),
        workers=read("WEB_CONCURRENCY", whole(least=1, most=256), 1),
        sandbox=read(SANDBOX_FLAG, str, "") != "",
        ephemeral_disk=dyno,
    )


def _check(variables: Variables, config: Config, unknown: Mapping[str, str]) -> None:
    """Raise ConfigError if a setting, or a combination of settings, cannot be used.

    Args:
        unknown: the problems of unknown variables, one of which may be what was meant.
    """
    found = dict(variables.problems)
    # None: its value cannot be used
    anonymous = config.schemes == ()
    if config.token == "" and not anonymous and "STUDIOS" not in found:
        accepted = "the API token of your TeamUp provider account"
        found = {"TEAMUP_API_TOKEN": f"is not set; accepted: {accepted}", **found}
    if anonymous and config.provider_id is None and "TEAMUP_PROVIDER_ID" not in found:
        found["TEAMUP_PROVIDER_ID"] = (
            "is not set, and TEAMUP_AUTH_SCHEME=none needs it; accepted: the id of your studio"
        )
    if found:
        raise ConfigError({**found, **unknown})


def _store_problems(config: Config) -> dict[str, str]:
    """Problems, by variable: a store that the workers cannot share."""
    # None: its value cannot be used
    if config.cache_url != "memory://" or config.workers in (None, 1):
        return {}
    problem = (
        f"memory:// serves one process only, and WEB_CONCURRENCY is {config.workers};"
        " accepted: WEB_CONCURRENCY=1, or a store that processes share"
    )
    return {config.store_variable: problem}


_LIKELY = 0.8
"""How similar the name of a setting is to its misspelling (:mod:`difflib`, from 0 to 1)."""


def _unknown(in_file: Collection[str], names: Collection[str]) -> dict[str, str]:
    """Problems, by variable: those *in_file* that look like settings, but are none of the *names*.

    The file may also contain variables of other programs. A variable is reported only if its name
    is similar to that of a setting.
    """
    prefixes = tuple({f"{name.partition('_')[0]}_" for name in names if "_" in name})
    found: dict[str, str] = {}
    for name in dict.fromkeys(in_file):
        likely = difflib.get_close_matches(name.upper(), sorted(names), 1, _LIKELY)
        if name in names or not (likely or name.upper().startswith(prefixes)):
            continue
        hint = f"did you mean {likely[0]}?" if likely else "README.md lists them"
        found[name] = f"is in .env, and is not a setting of the bridge; {hint}"
    return found


_CERTIFICATES = "ssl_cert_reqs="


def _unverified(address: str) -> str:
    """The address of a platform's Redis, extended so that its certificate is not verified.

    Heroku's Redis has a self-signed certificate, which clients cannot verify. Users cannot change
    the address: the platform sets the variable, and replaces it whenever it changes the password.
    """
    if not address.startswith("rediss:") or _CERTIFICATES in address:
        return address
    return f"{address}{'&' if '?' in address else '?'}{_CERTIFICATES}none"
