"""Reach: why something on a network could not be reached, in plain words."""

import socket
import ssl
from collections.abc import Iterator

_NOT_YET_VALID, _EXPIRED = 9, 10


# the more special before what they are kinds of
_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (ssl.SSLError, "it does not speak TLS as it should"),
    (socket.gaierror, "its name cannot be resolved"),
    (UnicodeError, "its name cannot be resolved"),
    (TimeoutError, "it does not answer"),
    (ConnectionRefusedError, "nothing listens there"),
    (ConnectionError, "the connection broke"),
)


def why(err: BaseException) -> str:
    """What *err*, or what it came from, says about the way there. No address is in it."""
    for one in _chain(err):
        if isinstance(one, ssl.SSLCertVerificationError):
            return f"its certificate cannot be verified ({one.verify_message})"
        for kind, text in _REASONS:
            if isinstance(one, kind):
                return text
        if isinstance(one, OSError) and one.strerror:
            return one.strerror
    return type(err).__name__


def is_certificate_date_error(err: BaseException) -> bool:
    """Whether a certificate was refused for its dates: a wrong clock makes every one so."""
    return any(
        isinstance(one, ssl.SSLCertVerificationError)
        and one.verify_code in (_NOT_YET_VALID, _EXPIRED)
        for one in _chain(err)
    )


def _chain(err: BaseException) -> Iterator[BaseException]:
    """What *err* came from, the first cause first, and *err* itself."""
    came_from = err.__cause__ or err.__context__
    reason = getattr(err, "reason", None)
    for one in (came_from, reason):
        if isinstance(one, BaseException):
            yield from _chain(one)
    yield err
