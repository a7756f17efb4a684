"""Private feeds: signed addresses that say what they show, and can be revoked."""

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cachetools import TTLCache
from itsdangerous import BadData, URLSafeSerializer

from bridge.clock import Clock
from bridge.config import Availability
from bridge.errors import ParameterError, StoreError, UnknownFeedError
from bridge.feeds.spec import Audience, Kind
from bridge.model import Visibility
from bridge.store.interface import Store, Write
from bridge.store.keys import Keys

_SALT = "private feed"
# Written before the signed text, which may begin with a dot: servers that hide dot files would
# hide such an address.
_FORM = "1"
_LOOK_AGAIN = 5.0
_MOST = 10_000
# With the rest of its path it has to be shorter than a path may be.
_LONGEST = 3_900


@dataclass(frozen=True, slots=True)
class Grant:
    """What a private feed's address grants.

    Attributes:
        kind, identity, pairs: the feed's address, with its query as given.
        audience: who may read it, with the id by which it is revoked.
    """

    kind: Kind
    identity: int | None
    pairs: tuple[tuple[str, str], ...]
    audience: Audience


def audience(
    visibilities: Iterable[Visibility],
    *,
    counts: bool = False,
    join_links: bool = False,
    staff_links: bool = False,
    label: str = "",
) -> Audience:
    """A new audience, with an id of its own."""
    return Audience(
        private=secrets.token_hex(8),
        visibilities=frozenset(visibilities),
        availability=Availability.SPOTS,
        counts=counts,
        join_links=join_links,
        staff_links=staff_links,
        label=label,
    )


class PrivateFeeds:
    """Signs, opens and revokes.

    Args:
        keys: signing keys, newest first; those behind the first open what they once signed.
        revoked: ids that are revoked whatever the store says.
    """

    def __init__(
        self,
        store: Store,
        names: Keys,
        clock: Clock,
        *,
        keys: Sequence[str],
        revoked: frozenset[str],
    ) -> None:
        self._store = store
        self._names = names
        # the library signs with the last of several keys
        self._serializer = (
            URLSafeSerializer(
                list(reversed(keys)), salt=_SALT, signer_kwargs={"digest_method": hashlib.sha256}
            )
            if keys
            else None
        )
        self._valid: TTLCache[str, bool] = TTLCache(_MOST, _LOOK_AGAIN, timer=clock.monotonic)
        # For good, also where the store is lost.
        self._gone: set[str] = set(revoked)

    @property
    def enabled(self) -> bool:
        """Whether there is a key to sign with."""
        return self._serializer is not None

    def sign(self, grant: Grant) -> str:
        """The token of an address that grants *grant*.

        Raises:
            UnknownFeedError: there is no key to sign with.
            ParameterError: it would be too long for an address.
        """
        if self._serializer is None:
            raise UnknownFeedError("private feeds are off: set FEED_SIGNING_KEYS")
        who = grant.audience
        payload = [
            who.private,
            grant.kind.value,
            grant.identity,
            grant.pairs,
            sorted(one.value for one in who.visibilities),
            [int(one) for one in (who.counts, who.join_links, who.staff_links)],
            who.label,
        ]
        token = f"{_FORM}{self._serializer.dumps(payload)}"
        if len(token) > _LONGEST:
            raise ParameterError(
                "address", "a private address of that feed would be too long; ask for fewer things"
            )
        return token

    def open(self, token: str) -> Grant:
        """What *token* grants.

        Raises:
            UnknownFeedError: nothing; the reason is not told.
        """
        grant = self.read(token)
        if self.is_revoked(str(grant.audience.private)):
            raise UnknownFeedError("there is no such feed")
        return grant

    def read(self, token: str) -> Grant:
        """What *token* grants, or did before it was revoked.

        Raises:
            UnknownFeedError: no key of these signed it.
        """
        unknown = UnknownFeedError("there is no such feed")
        if self._serializer is None or len(token) > _LONGEST or token[:1] != _FORM:
            raise unknown
        try:
            return _grant(self._serializer.loads(token[1:]))
        except (BadData, ValueError, TypeError) as err:
            raise unknown from err

    def is_revoked(self, identity: str) -> bool:
        """Whether the feed of that id is revoked; a worker looks every five seconds."""
        if identity in self._gone:
            return True
        if identity in self._valid:
            return False
        if self._store.versions([self._names.revoked(identity)]):
            self._gone.add(identity)
            return True
        self._valid[identity] = True
        return False

    def revoke(self, identity: str) -> None:
        """Revoke the feed of that id, for the whole fleet and for good.

        Raises:
            StoreError: the store did not take it.
        """
        name = self._names.revoked(identity)
        self._store.commit({name: Write(b"revoked")})
        self._gone.add(identity)
        if self._store.failing:
            raise StoreError("the store did not take it: add it to FEED_REVOKED", readable=True)


def _grant(payload: Any) -> Grant:
    identity, kind, of, pairs, visibilities, (counts, join, staff), label = payload
    return Grant(
        Kind(kind),
        of,
        tuple((str(name), str(value)) for name, value in pairs),
        Audience(
            private=str(identity),
            visibilities=frozenset(Visibility(one) for one in visibilities),
            availability=Availability.SPOTS,
            counts=bool(counts),
            join_links=bool(join),
            staff_links=bool(staff),
            label=str(label),
        ),
    )
