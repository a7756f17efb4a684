"""Environment checks: the store, the signing keys and the receivers."""

import uuid
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from bridge.clock import Clock
from bridge.config import Config
from bridge.diagnostics.findings import CheckReport
from bridge.errors import StoreError
from bridge.ops.alerts import AlertOutbox
from bridge.ops.change_outbox import ChangeOutbox
from bridge.ops.sender import Sender
from bridge.store.interface import Store, Write

SKEW_SECONDS = 60
_TTL_SECONDS = 60.0


def check_store(report: CheckReport, settings: Config, store: Store, clock: Clock) -> None:
    """Write a value, read it, and delete it."""
    name = settings.store_variable
    if settings.cache_url == "memory://":
        report.warning(
            "store", f"{name} is memory://, so its content is lost with every restart", name
        )
        return
    key, value = f"check {uuid.uuid4().hex}", b"written by check"
    try:
        store.commit({key: Write(value, _TTL_SECONDS)})
        entries = store.read([key])
        store.commit({key: Write(None)})
    except StoreError as err:
        report.error(
            "store",
            f"{name}: the store cannot be written, so each worker uses its own memory, and loses"
            f" it with a restart ({err})",
            name,
        )
        return
    if key not in entries or entries[key].value != value:
        report.error("store", f"{name}: the store does not return what was written", name)
        return
    report.good("store", f"{name}: {_describe_store(settings.cache_url)} can be written and read")
    skew = store.now() - clock.now()
    if abs(skew) > SKEW_SECONDS:
        report.warning("clock", f"this machine's clock is {-skew:+.0f} seconds off the store's")


def _describe_store(address: str) -> str:
    """A description of the store without secrets."""
    parts = urlsplit(address)
    if parts.scheme == "sqlite":
        return f"the file {parts.path.removeprefix('/')}"
    unverified = "ssl_cert_reqs=none" in parts.query
    tls = " over TLS" if parts.scheme == "rediss" else ""
    tls += ", whose certificate is not verified," if unverified else ""
    return f"the server {parts.hostname or 'localhost'}{tls}"


def check_keys(report: CheckReport, settings: Config) -> None:
    """Check the signing keys of private feeds."""
    if not settings.signing_keys:
        report.good("private feeds", "off; set FEED_SIGNING_KEYS to use them")
    else:
        count = len(settings.signing_keys)
        older = f", and {count - 1} older key(s) are still valid" if count > 1 else ""
        report.good("private feeds", f"signed with the first key of FEED_SIGNING_KEYS{older}")
        if len(set(settings.signing_keys)) < count:
            report.warning(
                "private feeds", "FEED_SIGNING_KEYS has the same key twice", "FEED_SIGNING_KEYS"
            )


_RECEIVERS = {AlertOutbox.name: "ALERT_URL", ChangeOutbox.name: "CHANGES_URL"}


def check_receivers(report: CheckReport, senders: Sequence[Sender[Any]]) -> None:
    """Report what the receivers of alerts and of changes have not accepted. Nothing is sent."""
    for sender in senders:
        name = sender.outbox.name
        setting, failure = _RECEIVERS[name], sender.failure()
        if failure is None:
            report.good(name, f"sent to {setting}; {sender.outbox.waiting()} messages wait")
        else:
            report.warning(
                name,
                f"{setting} has not accepted {sender.outbox.waiting()} messages, after"
                f" {failure.count} tries: {failure.text}",
                setting,
            )
