"""The surroundings: store, signing keys, and the address that the public uses."""

import re
import uuid
from urllib.parse import urlsplit

from bridge.clock import Clock
from bridge.config import Config
from bridge.diagnostics import network_checks
from bridge.diagnostics.findings import CheckReport
from bridge.errors import StoreError
from bridge.feeds.feed import tag_of
from bridge.store.interface import Store, Write

SKEW_SECONDS = 60
_TRIAL_SECONDS = 60.0
_LOOPBACK = re.compile(r"localhost|127\.[0-9.]+|::1")


def check_store(report: CheckReport, settings: Config, store: Store, clock: Clock) -> None:
    """Write something, read it, and take it away again."""
    name = settings.store_variable
    if settings.cache_url == "memory://":
        report.warning("store", f"{name} is memory://, which a restart empties", name)
        return
    key, value = f"check {uuid.uuid4().hex}", b"written by check"
    try:
        store.commit({key: Write(value, _TRIAL_SECONDS)})
        found = store.read([key])
        store.commit({key: Write(None)})
    except StoreError as err:
        report.error(
            "store",
            f"{name}: the store cannot be written to, so each worker keeps what it has to itself,"
            f" until it is restarted ({err})",
            name,
        )
        return
    if key not in found or found[key].value != value:
        report.error("store", f"{name}: the store does not keep what is written", name)
        return
    report.good("store", f"{name}: {_place(settings.cache_url)} can be written to and read")
    ahead = store.now() - clock.now()
    if abs(ahead) > SKEW_SECONDS:
        report.warning("clock", f"this machine's clock is {-ahead:+.0f} seconds off the store's")


def _place(address: str) -> str:
    """The store without what is secret of its address."""
    parts = urlsplit(address)
    if parts.scheme == "sqlite":
        return f"the file {parts.path.removeprefix('/')}"
    unverified = "ssl_cert_reqs=none" in parts.query
    how = " over TLS" if parts.scheme == "rediss" else ""
    how += ", whose certificate is not verified," if unverified else ""
    return f"the server {parts.hostname or 'localhost'}{how}"


def check_keys(report: CheckReport, settings: Config) -> None:
    """Say what private feeds are signed with, and which are revoked."""
    if not settings.signing_keys:
        report.good("private feeds", "off; FEED_SIGNING_KEYS would switch them on")
    else:
        known = len(settings.signing_keys)
        also = f", and {known - 1} older key(s) are still good" if known > 1 else ""
        report.good("private feeds", f"signed with the first key of FEED_SIGNING_KEYS{also}")
        if len(set(settings.signing_keys)) < known:
            report.warning(
                "private feeds", "FEED_SIGNING_KEYS has the same key twice", "FEED_SIGNING_KEYS"
            )
    odd = sum(not re.fullmatch(r"[0-9a-f]{16}", one) for one in settings.revoked)
    if odd:
        report.warning(
            "private feeds",
            f"FEED_REVOKED has {odd} value(s) that are no id of a private feed: 16 hexadecimal"
            " digits, as sign and revoke print them",
            "FEED_REVOKED",
        )


def check_address(report: CheckReport, settings: Config, clock: Clock) -> None:
    """Ask for the bridge at its public address, and whether a feed arrives there as it was sent."""
    base, name = settings.public_base_url, "PUBLIC_BASE_URL"
    if base is None:
        return  # the settings have warned of it
    parts = urlsplit(base)
    if _LOOPBACK.fullmatch(parts.hostname or ""):
        report.warning("public address", f"{name} is {base}, which nobody else can reach", name)
    elif parts.scheme == "http":
        report.warning(
            "public address",
            f"{name} is plain http: whoever is on the way can read private feeds",
            name,
        )
    alive = network_checks.ask(f"{base}/healthz", clock)
    if alive.status == 200 and alive.body == b"ok\n":
        _check_served(report, base, clock)
        return
    if alive.status == 0:
        what = f"{base} cannot be reached from here: {alive.text}; is the bridge running?"
    elif 300 <= alive.status < 400:
        what = f"{base} leads elsewhere, which costs calendars; set {name} to where it leads"
    else:
        what = f"{base} answers {alive.status}, and is not the bridge"
    report.warning("public address", what, name)


def _check_served(report: CheckReport, base: str, clock: Clock) -> None:
    name = "PUBLIC_BASE_URL"
    served = network_checks.ask(f"{base}/sessions.ics?past=0&future=6&_=.ics", clock)
    if served.status != 200:
        report.warning(
            "public address", f"{base} answers, and a feed there is {served.status}", name
        )
    elif served.kind != "text/calendar":
        report.error("public address", f"a feed at {base} arrives as {served.kind}", name)
    elif tag_of(served.body) not in served.etag:
        # The bridge's ETag is a digest of the bytes that it sent.
        report.error(
            "public address",
            f"a feed at {base} does not arrive as it was sent: something on the way changes it",
            name,
        )
    else:
        count = served.body.count(b"BEGIN:VEVENT")
        report.good("public address", f"{base} serves feeds ({count} sessions this week)")
