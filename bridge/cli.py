"""The command line: look at the settings, print a feed, run the sandbox."""

import json
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import wraps
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from werkzeug.exceptions import HTTPException

from bridge import config, services
from bridge.diagnostics import run_checks
from bridge.errors import BridgeError, StoreError
from bridge.feeds.formats.base import Format
from bridge.feeds.params import feed_spec
from bridge.feeds.private import Grant, audience
from bridge.feeds.spec import Kind
from bridge.filters import choice
from bridge.model import Visibility
from bridge.services import Services
from bridge.store.memory import MemoryStore
from bridge.text_cleanup import one_line
from bridge.upstream.pagination import WALK_SECONDS


def register(app: Flask) -> None:
    """Add the bridge's commands to ``flask``."""
    for command in (check, feed, sign, revoke, accept, sandbox):
        app.cli.add_command(command)


def _explained(function: Callable[..., None]) -> Callable[..., None]:
    """End with one line instead of a traceback where the bridge knows what is wrong."""

    @wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            function(*args, **kwargs)
        except BridgeError as err:
            raise click.ClickException(str(err)) from err

    return wrapped


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(as_json: bool) -> None:
    """Look at the settings and at what TeamUp answers, and say what to change."""
    report = run_checks()
    if as_json:
        click.echo(json.dumps(report.as_dict(), indent=2, ensure_ascii=False))
    else:
        click.echo(report.as_text())
    sys.exit(0 if report.healthy else 1)


@click.command()
@click.argument("path")
@with_appcontext
@_explained
def feed(path: str) -> None:
    """Print the feed at PATH, written as after the host: 'venues/12.ics?past=7'."""
    parts = _parts()
    kind, identity, form, pairs = _feed_address(path)
    spec = feed_spec(kind, identity, pairs, parts.defaults, besides=form.params)
    click.echo("asking TeamUp …", err=True)
    found = parts.feeds.get(spec, form, patience=WALK_SECONDS).narrowed(form, dict(pairs))
    click.echo(f"{found.body.sessions} sessions", err=True)
    sys.stdout.buffer.write(found.body.plain)


@click.command()
@click.argument("path")
@click.option("--visibility", default="public", help="Of which sessions, with commas.")
@click.option("--counts", is_flag=True, help="Show exactly how many are booked.")
@click.option("--join-links", is_flag=True, help="Show the links of online classes.")
@click.option("--staff-links", is_flag=True, help="Show the address where staff manage a class.")
@click.option("--label", default="", help="What the calendar is called.")
@with_appcontext
@_explained
def sign(  # noqa: PLR0917 - one for each option
    path: str, visibility: str, counts: bool, join_links: bool, staff_links: bool, label: str
) -> None:
    """Print the address of a private feed of PATH. Whoever has the address can read it."""
    parts = _parts()
    kind, identity, form, pairs = _feed_address(path)
    names = [one.strip() for one in visibility.split(",")]
    visibilities = [choice("--visibility", name, Visibility) for name in names]
    who = audience(
        visibilities,
        counts=counts,
        join_links=join_links,
        staff_links=staff_links,
        label=one_line(label)[:100],
    )
    # A mistake is told now, and not to whoever subscribes.
    feed_spec(kind, identity, pairs, replace(parts.defaults, audience=who))
    token = parts.private.sign(Grant(kind, identity, tuple(pairs), who))
    click.echo(f"The feed's id, by which it can be revoked: {who.private}", err=True)
    click.echo(f"{parts.config.public_base_url or ''}/private/{token}.{form.suffix}")


@click.command()
@click.argument("address")
@with_appcontext
@_explained
def revoke(address: str) -> None:
    """End a private feed, given its address or its id, on every machine within a minute."""
    parts = _parts()
    identity = address
    if not re.fullmatch(r"[0-9a-f]{16}", address):
        token = urlsplit(address).path.rpartition("/private/")[2].rpartition(".")[0]
        identity = str(parts.private.read(token).audience.private)
    click.echo(f"FEED_REVOKED={','.join(sorted({*parts.config.revoked, identity}))}")
    if parts.config.cache_url == "memory://":
        raise click.ClickException(
            "CACHE_URL=memory:// is shared with no server: set the line above where the bridge"
            " runs, and restart it"
        )
    parts.private.revoke(identity)
    click.echo("revoked; the line above keeps it so even if the store is lost", err=True)


def _parts() -> Services:
    parts: Services | None = current_app.extensions.get("bridge")
    return parts or services.build(config.load())


def _feed_address(path: str) -> tuple[Kind, int | None, Format, list[tuple[str, str]]]:
    """What a feed's address, as after the host, asks for."""
    where, _, query = f"/{path.removeprefix('/')}".partition("?")
    endpoint: Any = None
    found: Mapping[str, Any] = {}
    with suppress(HTTPException):  # said below
        endpoint, found = current_app.url_map.bind("localhost").match(where, method="GET")
    if endpoint != "feeds.show":
        raise click.ClickException(
            f"{where} is no feed; feeds are venues/<id>.ics, instructors/<id>.ics,"
            " courses/<id>.ics, sessions/<id>.ics and sessions.ics?…, or .json, or .txt"
        )
    return found["kind"], found["identity"], found["form"], parse_qsl(query, keep_blank_values=True)


@click.command()
@_explained
def accept() -> None:
    """Believe TeamUp that the sessions it suddenly no longer lists are gone: publish that."""
    parts = services.build(config.load())
    try:
        removed = parts.refresher.accept()
        if isinstance(parts.store, MemoryStore):
            raise StoreError("memory:// is each process's own: restart the server", readable=False)
        if getattr(parts.store, "errors", 0):
            raise StoreError("the store failed; what it holds is not known", readable=False)
    finally:
        parts.close()
    click.echo(f"{removed} sessions were held, and are removed" if removed else "nothing is held")


@click.command()
@click.option("--port", default=8001, show_default=True, help="On the loopback address.")
def sandbox(port: int) -> None:
    """Run the sandbox studio alone, as an API server."""
    # Only here: the production server imports nothing of the sandbox.
    from bridge.sandbox import demo_timetable, http_server  # noqa: PLC0415

    studio = demo_timetable.believable_studio(datetime.now(UTC).date())
    try:
        http_server.serve_forever(studio, port=port, announce=click.echo)
    except OSError as err:
        raise click.ClickException(f"--port {port}: {err.strerror}") from err
