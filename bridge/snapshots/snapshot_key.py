"""Snapshot keys: which source's sessions a snapshot contains, and of which filter set."""

from dataclasses import dataclass

from bridge.filter_params import filters_of_key
from bridge.filters import FilterSet
from bridge.model import SourceName

# Snapshots of course sessions are stored under the filter set alone, because earlier versions had
# no other source.
_UNPREFIXED = SourceName.COURSE_SESSIONS
_SEPARATOR = "?"


@dataclass(frozen=True, slots=True)
class SnapshotKey:
    """The key of a snapshot: a source, and the filter set that was requested from it.

    Attributes:
        filter_set: without a filter by source.
    """

    source: SourceName
    filter_set: FilterSet

    @property
    def text(self) -> str:
        """The key in the store and in the log."""
        text = self.filter_set.key
        return text if self.source is _UNPREFIXED else f"{self.source.value}{_SEPARATOR}{text}"

    @classmethod
    def parse(cls, text: str) -> "SnapshotKey":
        """The key whose :attr:`text` is *text*.

        Raises:
            ParameterError: the filter set cannot be parsed.
        """
        source = source_of(text)
        prefix = f"{source.value}{_SEPARATOR}"
        return cls(source, filters_of_key(text.removeprefix(prefix)))


def source_of(text: str) -> SourceName:
    """The source of the key whose text is *text*."""
    prefix, separator, _ = text.partition(_SEPARATOR)
    names = {source.value: source for source in SourceName}
    return names.get(prefix, _UNPREFIXED) if separator else _UNPREFIXED
