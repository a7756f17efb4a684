"""What a format of a feed is. A new one is a module with a ``FORMAT``, listed in the registry."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bridge.feeds.selection import SessionView, Subject
from bridge.feeds.spec import FeedSpec


@dataclass(frozen=True, slots=True)
class Content:
    """What a feed is rendered from.

    Attributes:
        shown: ordered by start and UID.
        base_url: the bridge's own address, if it is known.
    """

    shown: Sequence[SessionView]
    subject: Subject
    spec: FeedSpec
    base_url: str | None = None


def plain_text_error(title: str, status: int, detail: str) -> str:
    """An error for people who read the feed in a terminal or a log."""
    return f"{title}: {detail}\n"


def _everything(body: bytes, params: Mapping[str, str]) -> bytes:
    return body


@dataclass(frozen=True, slots=True)
class Format:
    """A format of feeds.

    Attributes:
        suffix: what the address ends in, without the dot.
        media_type: of the feed.
        render: the same bytes for equal content.
        error: the body of an error response, from its title, HTTP status and detail.
        error_type: the media type of such a body.
        params: query parameters that only this format takes.
        narrow: reduces a rendered feed to what *params* ask for.
    """

    suffix: str
    media_type: str
    render: Callable[[Content], bytes]
    error: Callable[[str, int, str], str] = plain_text_error
    error_type: str = "text/plain; charset=utf-8"
    params: frozenset[str] = frozenset()
    narrow: Callable[[bytes, Mapping[str, str]], bytes] = _everything
