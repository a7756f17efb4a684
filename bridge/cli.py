"""The command line: look at the settings, print a feed, run the sandbox."""

import json
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import wraps
from typing import Any
from urllib.parse import parse_qsl

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from werkzeug.exceptions import HTTPException

from bridge import config, services
from bridge.doctor import examine
from bridge.errors import BridgeError
from bridge.feeds.query import feed_spec
from bridge.feeds.spec import Kind
from bridge.sandbox import server, timetable
from bridge.services import Services
from bridge.upstream.walk import WALK_SECONDS


def register(app: Flask) -> None:
    """Add the bridge's commands to ``flask``."""
    for command in (check, feed, accept, sandbox):
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
    report = examine()
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
    parts: Services = current_app.extensions.get("bridge") or services.build(config.load())
    address = path if path.startswith("/") else f"/{path}"
    adapter = current_app.url_map.bind("localhost")
    where, _, query = address.partition("?")
    endpoint: Any = None
    found: Mapping[str, Any] = {}
    with suppress(HTTPException):  # said below
        endpoint, found = adapter.match(where, method="GET")
    if endpoint != "feeds.show":
        raise click.ClickException(
            f"{where} is no feed; feeds are venues/<id>.ics, instructors/<id>.ics,"
            " courses/<id>.ics, sessions/<id>.ics and sessions.ics?…, or .json, or .txt"
        )
    kind: Kind = found["kind"]
    pairs = parse_qsl(query, keep_blank_values=True)
    spec = feed_spec(kind, found["identity"], pairs, parts.defaults)
    click.echo("asking TeamUp …", err=True)
    body = parts.feeds.get(spec, found["form"], patience=WALK_SECONDS).body
    click.echo(f"{body.sessions} sessions", err=True)
    sys.stdout.buffer.write(body.plain)


@click.command()
@_explained
def accept() -> None:
    """Believe TeamUp that the sessions it suddenly no longer lists are gone: publish that."""
    parts = services.build(config.load())
    try:
        removed = parts.refresher.accept()
    finally:
        parts.close()
    click.echo(f"{removed} sessions were held, and are removed" if removed else "nothing is held")


@click.command()
@click.option("--port", default=server.PORT, show_default=True, help="On the loopback address.")
def sandbox(port: int) -> None:
    """Run the sandbox studio alone, as an API server."""
    studio = timetable.believable_studio(datetime.now(UTC).date())
    server.serve_forever(studio, port=port, announce=click.echo)
