"""The application with leases of two seconds, so that tests need not wait for fifteen."""

from bridge.store import leases

leases.LEASE_SECONDS = 2.0

from app import asgi  # noqa: E402, F401 - LEASE_SECONDS is read when a lease is taken
