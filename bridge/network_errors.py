"""Plain-English descriptions of network errors."""

import socket
import ssl
from collections.abc import Iterator

_NOT_YET_VALID, _EXPIRED = 9, 10


# subclasses before their base classes
_DESCRIPTIONS: tuple[tuple[type[BaseException], str], ...] = (
    (ssl.SSLError, "it does not speak TLS as it should"),
    (socket.gaierror, "its name cannot be resolved"),
    (UnicodeError, "its name cannot be resolved"),
    (TimeoutError, "it does not answer"),
    (ConnectionRefusedError, "nothing listens there"),
    (ConnectionError, "the connection broke"),
)


def describe(err: BaseException) -> str:
    """Describe *err*, or the error that caused it. The text contains no address."""
    for error in _chain(err):
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"its certificate cannot be verified ({error.verify_message})"
        for error_type, text in _DESCRIPTIONS:
            if isinstance(error, error_type):
                return text
        if isinstance(error, OSError) and error.strerror:
            return error.strerror
    return type(err).__name__


def is_certificate_date_error(err: BaseException) -> bool:
    """Whether a certificate was rejected for its dates; a wrong local clock has that effect."""
    return any(
        isinstance(error, ssl.SSLCertVerificationError)
        and error.verify_code in (_NOT_YET_VALID, _EXPIRED)
        for error in _chain(err)
    )


def is_tls_error(err: BaseException) -> bool:
    """Whether TLS, such as a certificate, is the cause."""
    return any(isinstance(error, ssl.SSLError) for error in _chain(err))


def _chain(err: BaseException) -> Iterator[BaseException]:
    """The causes of *err*, the root cause first, then *err* itself."""
    cause = err.__cause__ or err.__context__
    reason = getattr(err, "reason", None)
    for error in (cause, reason):
        if isinstance(error, BaseException):
            yield from _chain(error)
    yield err
