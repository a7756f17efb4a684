"""The application with leases of two seconds, for servers whose end a test waits for."""

from bridge.store import leases

leases.LEASE_SECONDS = 2.0

from app import asgi  # noqa: E402, F401 - the workers' leases are read when they are taken
