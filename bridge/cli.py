"""The bridge's commands of ``flask``: ``check``, ``feed``, ``backup`` and others."""

import json
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from werkzeug.exceptions import HTTPException

from bridge import __version__, background, config
from bridge.diagnostics import run_checks
from bridge.errors import BridgeError, StoreError
from bridge.feeds.formats import FORMATS
from bridge.feeds.formats.base import Format
from bridge.feeds.params import feed_spec, own_values
from bridge.feeds.private import FeedGrant, new_audience
from bridge.feeds.spec import Kind
from bridge.model import Visibility
from bridge.param_values import choice, without_html_entities
from bridge.store.memory import MemoryStore
from bridge.store.opening import sqlite_file
from bridge.store.sqlite_backup import restore_backup, write_backup
from bridge.text_cleanup import one_line
from bridge.upstream.pagination import WALK_SECONDS


def register(app: Flask) -> None:
    """Add the bridge's commands to ``flask``."""
    for command in (check, feed, sign, revoke, accept, backup, restore, sandbox, version):
        app.cli.add_command(command)


def _one_line_errors(function: Callable[..., None]) -> Callable[..., None]:
    """Print an error of the bridge as one line instead of a traceback."""

    @wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            function(*args, **kwargs)
        except BridgeError as err:
            raise click.ClickException(str(err)) from err

    return wrapped


_of_studio = click.option("--studio", "slug", help="With STUDIOS: the slug of the studio.")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@_of_studio
def check(as_json: bool, slug: str | None) -> None:
    """Check the settings and what TeamUp answers, and suggest changes.

    With STUDIOS it checks all studios, or the one with the given slug.
    """
    reports = run_checks(only=slug)
    if as_json:
        found = {name: report.as_dict() for name, report in reports.items()}
        click.echo(json.dumps(found.get("", {"studios": found}), indent=2, ensure_ascii=False))
    else:
        texts = (
            f"{name}:\n{report.as_text()}" if name else report.as_text()
            for name, report in reports.items()
        )
        click.echo("\n\n".join(texts))
    sys.exit(0 if all(report.healthy for report in reports.values()) else 1)


@click.command()
@click.argument("path")
@_of_studio
@with_appcontext
@_one_line_errors
def feed(path: str, slug: str | None) -> None:
    """Print the feed at PATH, the address without the host: 'venues/12.ics?past=7'."""
    site = _site(slug)
    services = site.services
    kind, identity, form, pairs = _feed_address(site, path)
    spec = feed_spec(kind, identity, pairs, services.defaults, extra_params=form.params)
    click.echo("requesting the timetable …", err=True)
    whole = services.feeds.get(spec, form, timeout=WALK_SECONDS)
    now = datetime.fromtimestamp(services.store.now(), UTC)
    printed = whole.with_params(form, own_values(pairs, form.params), now)
    click.echo(f"{printed.body.sessions} sessions", err=True)
    sys.stdout.buffer.write(printed.body.plain)


@click.command()
@click.argument("path")
@click.option("--visibility", default="public", help="Visibilities to show, separated by commas.")
@click.option("--counts", is_flag=True, help="Show the exact number of bookings.")
@click.option("--join-links", is_flag=True, help="Show the links of online classes.")
@click.option("--staff-links", is_flag=True, help="Show the links with which staff manage classes.")
@click.option("--label", default="", help="Name of the calendar.")
@_of_studio
@with_appcontext
@_one_line_errors
def sign(  # noqa: PLR0917 - one parameter for each option
    path: str,
    visibility: str,
    counts: bool,
    join_links: bool,
    staff_links: bool,
    label: str,
    slug: str | None,
) -> None:
    """Print the address of a private feed of PATH. Everybody with this address can read it."""
    site = _site(slug)
    services = site.services
    kind, identity, form, pairs = _feed_address(site, path)
    names = [name.strip() for name in visibility.split(",")]
    visibilities = [choice("--visibility", name, Visibility) for name in names]
    audience = new_audience(
        visibilities,
        counts=counts,
        join_links=join_links,
        staff_links=staff_links,
        label=one_line(label)[:100],
    )
    grant = FeedGrant(kind, identity, tuple(pairs), audience)
    # Report mistakes now, not to the subscribers.
    grant.spec(services.defaults)
    # At a host of its own a studio is not below its slug.
    settings = services.config
    base = settings.public_base_url or ("" if settings.hosts else settings.prefix)
    address = f"{base}/private/{services.private.sign(grant)}"
    click.echo(f"The feed's id, by which it can be revoked: {audience.private}", err=True)
    click.echo(f"The page with its timetable, for people: {address}", err=True)
    click.echo(f"{address}{form.ending}")


@click.command()
@click.argument("address")
@_of_studio
@with_appcontext
@_one_line_errors
def revoke(address: str, slug: str | None) -> None:
    """Revoke a private feed, given its address or id, on every machine within a minute."""
    services = _site(slug).services
    identity = address
    if not re.fullmatch(r"[0-9a-f]{16}", address):
        path = urlsplit(address).path.rpartition("/private/")[2].partition("/")[0]
        token = re.sub(rf"\.({'|'.join(FORMATS)})$", "", path)
        identity = str(services.private.decode(token).audience.private)
    revoked = sorted({*services.config.revoked, identity})
    if services.config.slug:
        click.echo(f"feed_revoked = {json.dumps(revoked)}")
        place = f"the table of {services.config.slug} in STUDIOS, and reload the server"
    else:
        click.echo(f"FEED_REVOKED={','.join(revoked)}")
        place = "its environment, and restart it"
    if services.config.cache_url == "memory://":
        raise click.ClickException(
            f"CACHE_URL=memory:// is not shared with the server: set the line above in {place}"
        )
    services.private.revoke(identity)
    click.echo("revoked; set the line above to keep it revoked even if the store is lost", err=True)


def _site(slug: str | None) -> Any:
    """The :class:`~bridge.web.sites.Site` of the only studio, or of the one with this slug.

    A line on standard error tells if it is the sandbox.

    Raises:
        ConfigError: the settings cannot be used.
        ClickException: there is no such studio.
    """
    sites: Any = current_app.extensions.get("sites")
    if sites is None:
        config.load()  # raises what is wrong
        raise click.ClickException("the settings could not be used when the command began")
    site = sites.by_slug.get(slug or "")
    if site is None:
        known = ", ".join(sites.by_slug)
        hint = f"give --studio with one of {known}" if sites.many else "leave --studio out"
        raise click.ClickException(f"there is no studio {slug!r}: {hint}" if slug else hint)
    # In the log lines of this command.
    background.studio.set(site.services.config.slug)
    if site.services.config.sandbox:
        click.echo(
            "TEAMUP_API_TOKEN is not set: this is the sandbox studio of the running `make run`",
            err=True,
        )
    return site


def _feed_address(site: Any, path: str) -> tuple[Kind, int | None, Format, list[tuple[str, str]]]:
    """Parse a feed's address without the host: kind, id, format and query parameters."""
    route, _, query = f"/{path.removeprefix('/')}".partition("?")
    endpoint: Any = None
    values: Mapping[str, Any] = {}
    with suppress(HTTPException):  # reported below
        endpoint, values = site.app.url_map.bind("localhost").match(route, method="GET")
    if endpoint != "feeds.show":
        raise click.ClickException(
            f"{route} is not a feed; feeds are venues/<id>.ics, and so for rooms, instructors,"
            " courses, types, classes and sessions, and sessions.ics?…, or .json, or .txt"
        )
    pairs = without_html_entities(parse_qsl(query, keep_blank_values=True))
    return values["kind"], values["identity"], values["form"], pairs


@click.command()
@_of_studio
@with_appcontext
@_one_line_errors
def accept(slug: str | None) -> None:
    """Accept that sessions which TeamUp suddenly stopped listing are gone, and publish that."""
    services = _site(slug).services
    try:
        removed = services.refresher.confirm_deletions()
        if isinstance(services.store, MemoryStore):
            raise StoreError("memory:// is not shared: restart the server instead", readable=False)
        if services.store.error_count:
            raise StoreError(
                "the store failed; whether sessions are held is not known", readable=False
            )
    finally:
        services.close()
    click.echo(f"{removed} sessions were held, and are removed" if removed else "nothing is held")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@with_appcontext
@_one_line_errors
def backup(file: Path, force: bool) -> None:
    """Write the store, if it is a SQLite file, to FILE. The bridge may run meanwhile."""
    content = write_backup(sqlite_file(config.load()), file, replace=force)
    click.echo(f"wrote {file}; {content}")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@with_appcontext
@_one_line_errors
def restore(file: Path) -> None:
    """Replace the content of the store by that of FILE. Stop the bridge first."""
    store = sqlite_file(config.load())
    content = restore_backup(file, store)
    click.echo(f"replaced {store}; {content}")


@click.command()
@click.option("--port", default=8001, show_default=True, help="On the loopback address.")
def sandbox(port: int) -> None:
    """Run only the sandbox studio's API server."""
    # Imported here, because the production server must not import the sandbox.
    from bridge.sandbox import demo_timetable, http_server  # noqa: PLC0415

    studio = demo_timetable.demo_studio(datetime.now(UTC).date())
    try:
        http_server.serve_forever(studio, port=port, announce=click.echo)
    except OSError as err:
        raise click.ClickException(f"--port {port}: {err.strerror}") from err


@click.command()
def version() -> None:
    """Print the version of the bridge."""
    click.echo(f"teamup-feed-bridge {__version__}")
