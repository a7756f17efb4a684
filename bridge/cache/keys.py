"""The names of what is kept: each begins with the account and the format's version."""

from dataclasses import dataclass

FORMAT = "1"
"""Raised when a value's form changes: what an older version of the program wrote is not seen."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The store's keys for one account."""

    account: str

    def _named(self, kind: str, rest: str = "") -> str:
        return f"{self.account}:{FORMAT}:{kind}:{rest}"

    def snapshot(self, key: str) -> str:
        """The published snapshot of a filter set."""
        return self._named("snapshot", key)

    def lease(self, name: str) -> str:
        """Who is at work on something."""
        return self._named("lease", name)

    def failure(self, key: str | None = None) -> str:
        """A remembered failure: of one filter set, or of the upstream as a whole."""
        return self._named("failure", "of-all" if key is None else f"of:{key}")

    @property
    def last_failure(self) -> str:
        """The last failure, also once it is over."""
        return self._named("last-failure")

    @property
    def budget(self) -> str:
        """The requests of the last minute, and the cool-down."""
        return self._named("budget")

    def learnt(self, name: str) -> str:
        """What was learnt of the upstream's ways."""
        return self._named("learnt", name)

    def session(self, source: str, identity: int) -> str:
        """The memory of one session."""
        return self._named("session", f"{source}:{identity}")

    def asked(self, bucket: int) -> str:
        """When some filter sets were asked for last."""
        return self._named("asked", str(bucket))

    def lasting(self, key: str = "") -> str:
        """That a filter set which keeps history was asked for lately."""
        return self._named("lasting", key)

    def revoked(self, identity: str) -> str:
        """That a private feed is revoked."""
        return self._named("revoked", identity)

    def alert(self, topic: str) -> str:
        """That an alert is raised."""
        return self._named("alert", topic)

    def validators(self, bucket: int) -> str:
        """Since when some feeds have been what they are."""
        return self._named("validators", str(bucket))

    @property
    def readers(self) -> str:
        """Who reads: families of clients."""
        return self._named("readers")

    def read_feeds(self, bucket: int) -> str:
        """Who reads some of the feeds."""
        return self._named("read-feeds", str(bucket))
