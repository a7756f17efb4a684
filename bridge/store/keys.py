"""Names of the store's keys. Each begins with the account and the version of the stored format."""

from dataclasses import dataclass

FORMAT = "1"
"""The version of the stored format. Values of other versions are never read or changed, so that an
older version of the bridge finds its own again after a rollback; they expire.

Keep it for a change that old and new versions both understand: the new one reads the old values,
and the old one ignores what was added (as in the rows of ``snapshots/encoding``)."""

_PERMANENT = "1"
"""In place of the format, in keys whose values have none and must never be lost."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The store's keys for one account.

    The words inside the keys must not change: earlier versions stored their data under them.
    """

    account: str

    def _key(self, kind: str, rest: str = "", *, form: str | None = None) -> str:
        return f"{self.account}:{form or FORMAT}:{kind}:{rest}"

    def snapshot(self, filter_key: str) -> str:
        """The published snapshot of a filter set."""
        return self._key("snapshot", filter_key)

    def lease(self, name: str) -> str:
        """The lease *name*."""
        return self._key("lease", name)

    def failure(self, filter_key: str | None = None) -> str:
        """The current failure of one filter set, or (None) of upstream as a whole."""
        return self._key("failure", "of-all" if filter_key is None else f"of:{filter_key}")

    def source_failure(self, source: str) -> str:
        """The current failure of one of TeamUp's lists."""
        return self._key("failure", f"of-list:{source}")

    def source_refused(self, source: str) -> str:
        """Set while the account lacks the permission for one of TeamUp's lists."""
        return self._key("list-refused", source)

    def source_read(self, source: str) -> str:
        """Set once one of TeamUp's lists has been read."""
        return self._key("list-read", source)

    @property
    def last_failure(self) -> str:
        """The last failure of any kind; it is kept after recovery."""
        return self._key("last-failure")

    @property
    def budget(self) -> str:
        """The upstream requests of the last minute, and the end of the cool-down."""
        return self._key("budget")

    def hint(self, name: str) -> str:
        """A hint: something that was learned about upstream."""
        return self._key("learnt", name)

    @property
    def provider_name(self) -> str:
        """The studio's name as upstream stated it, and until when it is fresh."""
        return self._key("provider")

    def session(self, source: str, id: int) -> str:
        """The history of one session."""
        return self._key("session", f"{source}:{id}")

    def changes(self, source: str) -> str:
        """What publications changed in one of TeamUp's lists."""
        return self._key("changes", source)

    def registry(self, bucket: int) -> str:
        """A bucket of the key registry: when filter sets were last requested."""
        return self._key("asked", str(bucket))

    def pinned(self, filter_key: str) -> str:
        """When a filter set that keeps history was last requested."""
        return self._key("lasting", filter_key)

    def revoked(self, feed_id: str) -> str:
        """Set when a private feed is revoked."""
        return self._key("revoked", feed_id, form=_PERMANENT)

    @staticmethod
    def revoked_by_key(fingerprint: str, feed_id: str) -> str:
        """The same for all accounts that have the signing key with this fingerprint."""
        return f"{fingerprint}:{_PERMANENT}:revoked-by-key:{feed_id}"

    def alert(self, topic: str) -> str:
        """Set while an alert is raised."""
        return self._key("alert", topic)

    def outbox(self, receiver: str) -> str:
        """What is still to be sent to a receiver."""
        return self._key("outbox", receiver)

    def delivery_failure(self, receiver: str, fingerprint: str) -> str:
        """Why a receiver does not accept messages at the address with this fingerprint."""
        return self._key("delivery-failure", f"{receiver} {fingerprint}")

    def last_modified(self, bucket: int) -> str:
        """A bucket of feeds with their current entity tag and the time of its last change."""
        return self._key("validators", str(bucket))

    @property
    def client_usage(self) -> str:
        """Request counts by family of clients."""
        return self._key("readers")

    def feed_usage(self, bucket: int) -> str:
        """A bucket of feeds with their request counts by family of clients."""
        return self._key("read-feeds", str(bucket))
