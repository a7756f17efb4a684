"""Private feeds: signed addresses (capability URLs) that can be revoked.

    token = feeds.sign(FeedGrant(kind, identity, pairs, new_audience(visibilities)))
    grant = feeds.verify(token)

Anyone who knows the address can read the feed. The token contains the grant. The store contains
only the ids of revoked feeds.
"""

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from itsdangerous import BadData, URLSafeSerializer
from itsdangerous.encoding import base64_decode, base64_encode

from bridge.clock import Clock
from bridge.config import Availability
from bridge.errors import ParameterError, StoreError, UnknownFeedError
from bridge.feeds.params import FeedDefaults, feed_spec
from bridge.feeds.spec import Audience, FeedSpec, Kind
from bridge.model import Visibility
from bridge.store.interface import Store, Write
from bridge.store.keys import Keys

_SALT = "private feed"
# The token's first character. The signed text may begin with a dot, and servers that hide dot files
# would hide such an address.
_FORMAT_VERSION = "1"
_RECHECK_SECONDS = 5.0
# Together with the rest of the path it must not exceed the maximum length of a path.
_MAX_TOKEN_LENGTH = 3_900


@dataclass(frozen=True, slots=True)
class FeedGrant:
    """Read access to one feed for one audience; a private feed's token contains it.

    Attributes:
        kind, identity, pairs: the feed's address, with its query parameters as given.
        audience: what the readers may see, with the id by which the feed is revoked.
    """

    kind: Kind
    identity: int | None
    pairs: tuple[tuple[str, str], ...]
    audience: Audience

    def spec(self, defaults: FeedDefaults) -> FeedSpec:
        """The specification of the feed.

        Args:
            defaults: those of public feeds; their audience is replaced.

        Raises:
            ParameterError: the settings no longer allow a parameter of the feed.
        """
        defaults = replace(defaults, audience=self.audience)
        return feed_spec(self.kind, self.identity, self.pairs, defaults)


def new_audience(
    visibilities: Iterable[Visibility],
    *,
    counts: bool = False,
    join_links: bool = False,
    staff_links: bool = False,
    label: str = "",
) -> Audience:
    """An audience of a new private feed, with a new random id."""
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
    """Signs, verifies and revokes the tokens of private feeds.

    Args:
        keys: signing keys, newest first. The first one signs; the others still verify.
        revoked: ids that are revoked whether or not the store lists them.
    """

    def __init__(
        self,
        store: Store,
        store_keys: Keys,
        clock: Clock,
        *,
        keys: Sequence[str],
        revoked: frozenset[str],
    ) -> None:
        self._store = store
        self._store_keys = store_keys
        # An account has another name in the store after a change of its settings, such as the slug
        # of the studio. The addresses that its keys have signed must not become valid by that.
        self._key_fingerprints = [
            hashlib.sha256(f"{_SALT}\n{key}".encode()).hexdigest()[:12] for key in keys
        ]
        # itsdangerous signs with the last of several keys.
        self._serializer = (
            URLSafeSerializer(
                list(reversed(keys)), salt=_SALT, signer_kwargs={"digest_method": hashlib.sha256}
            )
            if keys
            else None
        )
        self._clock = clock
        # By id; only those of verified tokens get here, so their number is that of signed feeds.
        self._valid_until: dict[str, float] = {}
        # Never removed, so that a lost store does not restore a feed in this process.
        self._revoked: set[str] = set(revoked)

    def sign(self, grant: FeedGrant) -> str:
        """The token for *grant*, which is part of the feed's address.

        Raises:
            UnknownFeedError: there is no signing key.
            ParameterError: the token is too long for an address.
        """
        if self._serializer is None:
            raise UnknownFeedError("private feeds are off: set FEED_SIGNING_KEYS")
        audience = grant.audience
        payload = [
            audience.private,
            grant.kind.value,
            grant.identity,
            grant.pairs,
            sorted(visibility.value for visibility in audience.visibilities),
            [int(audience.counts), int(audience.join_links), int(audience.staff_links)],
            audience.label,
        ]
        token = f"{_FORMAT_VERSION}{self._serializer.dumps(payload)}"
        if len(token) > _MAX_TOKEN_LENGTH:
            raise ParameterError(
                "address", "the address of this private feed would be too long; use fewer filters"
            )
        return token

    def verify(self, token: str) -> FeedGrant:
        """The grant in *token*.

        Raises:
            UnknownFeedError: the token is invalid or revoked; the error does not tell which.
        """
        grant = self.decode(token)
        if self.is_revoked(str(grant.audience.private)):
            raise UnknownFeedError("there is no such feed")
        return grant

    def decode(self, token: str) -> FeedGrant:
        """The grant in *token*, also if the feed has been revoked.

        Raises:
            UnknownFeedError: the token was not signed with any of the keys.
        """
        unknown = UnknownFeedError("there is no such feed")
        if self._serializer is None or len(token) > _MAX_TOKEN_LENGTH:
            raise unknown
        if not token.startswith(_FORMAT_VERSION):
            raise unknown
        try:
            _check_spelling(token[1:])
            return _grant(self._serializer.loads(token[1:]))
        except (BadData, ValueError, TypeError) as err:
            raise unknown from err

    def is_revoked(self, feed_id: str) -> bool:
        """Whether the feed with this id is revoked; the store is read every five seconds."""
        if feed_id in self._revoked:
            return True
        now = self._clock.monotonic()
        if now < self._valid_until.get(feed_id, 0.0):
            return False
        if self._store.versions(self._entries(feed_id)):
            self._revoked.add(feed_id)
            return True
        self._valid_until[feed_id] = now + _RECHECK_SECONDS
        return False

    def revoke(self, feed_id: str) -> None:
        """Revoke the feed with this id permanently, on all machines that share the store.

        Raises:
            StoreError: the revocation could not be stored.
        """
        self._store.commit({key: Write(b"revoked") for key in self._entries(feed_id)})
        self._revoked.add(feed_id)
        if self._store.failing:
            raise StoreError(
                "the revocation was not stored: add the id to FEED_REVOKED", readable=True
            )

    def _entries(self, feed_id: str) -> list[str]:
        """The keys in the store of which one is set if the feed is revoked."""
        by_key = [
            Keys.revoked_by_key(fingerprint, feed_id) for fingerprint in self._key_fingerprints
        ]
        return [self._store_keys.revoked(feed_id), *by_key]


def _check_spelling(token: str) -> None:
    """Accept only the one base64 spelling that :meth:`PrivateFeeds.sign` writes.

    A decoder ignores padding, foreign characters and the unused bits of the last character, so
    that many spellings would open the same feed.

    Raises:
        BadData: the token has another spelling.
    """
    for part in token.removeprefix(".").split("."):
        if base64_encode(base64_decode(part)).decode() != part:
            raise BadData("another spelling")


def _grant(payload: Any) -> FeedGrant:
    private, kind, identity, pairs, visibilities, (counts, join, staff), label = payload
    return FeedGrant(
        Kind(kind),
        identity,
        tuple((str(name), str(value)) for name, value in pairs),
        Audience(
            private=str(private),
            visibilities=frozenset(Visibility(name) for name in visibilities),
            availability=Availability.SPOTS,
            counts=bool(counts),
            join_links=bool(join),
            staff_links=bool(staff),
            label=str(label),
        ),
    )
