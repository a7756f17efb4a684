"""The interface of feed formats. A format is a module with a ``FORMAT``, listed in the registry."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bridge.feeds.changes import SessionChange
from bridge.feeds.filter_text import weekdays_and_times
from bridge.feeds.session_view import SessionView
from bridge.feeds.spec import FeedSpec
from bridge.feeds.subject import FIELD_WORDS, KIND_WORDS, Subject
from bridge.languages import Language, english
from bridge.param_values import Parameter

# A header must stay short.
_MAX_UNKNOWN = 5


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a feed, as the input of every format.

    Attributes:
        shown: the sessions, ordered by start and UID.
        base_url: the bridge's own address, if it is set.
        trim_note: which part of the feed is shown, if it is trimmed; otherwise empty.
        changes: of the feed, newest first, for formats of changes.
    """

    shown: Sequence[SessionView]
    subject: Subject
    spec: FeedSpec
    base_url: str | None = None
    trim_note: str = ""
    changes: Sequence[SessionChange] = ()

    @property
    def name(self) -> str:
        """The name of the feed, with the weekdays and times of day that it is filtered by.

        The owner's name for a private feed stays as it is.
        """
        spec = self.spec
        when = "" if spec.audience.label else weekdays_and_times(spec.filter_set, spec.language)
        return ", ".join(filter(None, (self.subject.name, when)))

    @property
    def notice(self) -> str:
        """The same as :meth:`notice_in` in English, which is ASCII."""
        return self.notice_in(english())

    def notice_in(self, language: Language) -> str:
        """What a reader should know of a feed that names objects which are not known; else empty.

        Such a feed is an empty calendar: studios take breaks, and a calendar must not be switched
        off for it.
        """
        spec = self.spec
        unknown = [(FIELD_WORDS[field], identity) for field, identity in self.subject.unmatched_ids]
        if spec.identity is not None and self.subject.latest is None:
            unknown.insert(0, (KIND_WORDS[spec.kind], spec.identity))
        sentences = [
            language.plain(f"notice_{word}", id=identity)
            for word, identity in unknown[:_MAX_UNKNOWN]
        ]
        return "; ".join(sentences) + ("; ..." if len(unknown) > _MAX_UNKNOWN else "")


def plain_text_error(title: str, status: int, detail: str, parameter: str | None) -> str:
    """The body of an error response as plain text."""
    return f"{title}: {detail}\n"


def _unchanged(body: bytes, params: Mapping[str, Sequence[str]], now: datetime) -> bytes:
    return body


_TEXT: Mapping[str, Any] = {"type": "string"}


@dataclass(frozen=True, slots=True)
class Format:
    """A format of feeds.

    Attributes:
        suffix: the end of the feed's address, without the dot.
        media_type: the media type of the feed.
        render: renders the feed; equal content gives equal bytes.
        error: makes the body of an error response from its title, HTTP status and detail, and from
            the parameter that is wrong, if one is.
        error_type: the media type of that body.
        schema, error_schema: the JSON Schemas of the two bodies.
        params: the query parameters that only this format has.
        apply_params: reduces a rendered feed to the sessions selected by values of *params*, at a
            time.
        timed_params: those of *params* whose result changes with the time.
        of_changes: whether it contains the feed's changes instead of its sessions; then the address
            ends in ``/changes`` and the suffix.
    """

    suffix: str
    media_type: str
    render: Callable[[Content], bytes]
    error: Callable[[str, int, str, str | None], str] = plain_text_error
    error_type: str = "text/plain; charset=utf-8"
    schema: Mapping[str, Any] = field(default_factory=lambda: _TEXT)
    error_schema: Mapping[str, Any] = field(default_factory=lambda: _TEXT)
    params: Mapping[str, Parameter] = field(default_factory=dict)
    apply_params: Callable[[bytes, Mapping[str, Sequence[str]], datetime], bytes] = _unchanged
    timed_params: frozenset[str] = frozenset()
    of_changes: bool = False

    @property
    def name(self) -> str:
        """A unique name of the format."""
        return f"changes.{self.suffix}" if self.of_changes else self.suffix

    @property
    def ending(self) -> str:
        """The end of a feed's address in this format."""
        return f"{'/changes' if self.of_changes else ''}.{self.suffix}"
