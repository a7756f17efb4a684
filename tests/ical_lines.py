"""A strict parser of iCalendar content lines and components (RFC 5545, 3.1 to 3.6)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_MAX_LINE = 75
_TEXT = re.compile(r"(?:[^\\,;\x00-\x08\x0a-\x1f]+|\\[\\;,nN])*+")
_ESCAPED = re.compile(r"\\(.)")
# The name, the parameters, and the value after the first colon outside of quotes.
_LINE = re.compile(r'([^";:]*)(?:;((?:[^":]|"[^"]*")*+))?:(.*)', re.DOTALL)


class MalformedError(ValueError):
    """The calendar is not valid; the text states why."""


@dataclass
class Line:
    """An unfolded content line; the value is not unescaped."""

    name: str
    params: str
    value: str

    @property
    def text(self) -> str:
        """The value, unescaped as TEXT (RFC 5545, 3.3.11).

        Raises:
            MalformedError: it is not valid as TEXT.
        """
        if not _TEXT.fullmatch(self.value):
            return "".join(self._characters())
        return unescaped(self.value)

    def _characters(self) -> Iterator[str]:
        """One character after the other, up to the first that is not valid."""
        characters = iter(self.value)
        for character in characters:
            if character in ",;" or (character != "\t" and ord(character) < 32):
                raise MalformedError(f"{self.name} has {character!r} unescaped: {self.value!r}")
            if character != "\\":
                yield character
                continue
            escaped = next(characters, "")
            if escaped not in tuple("\\;,nN"):
                raise MalformedError(f"{self.name} escapes {escaped!r}: {self.value!r}")
            yield "\n" if escaped in "nN" else escaped


@dataclass
class Component:
    """A component with its lines and its subcomponents."""

    kind: str
    lines: list[Line] = field(default_factory=list)
    parts: list["Component"] = field(default_factory=list)

    def names(self) -> list[str]:
        """The names of its lines, in order."""
        return [line.name for line in self.lines]

    def line(self, name: str) -> Line:
        """The only line called *name*.

        Raises:
            MalformedError: there is no such line, or several.
        """
        lines = [line for line in self.lines if line.name == name]
        if len(lines) != 1:
            raise MalformedError(f"{self.kind} has {name} {len(lines)} times")
        return lines[0]

    def value(self, name: str) -> str:
        """The value of the only line called *name*."""
        return self.line(name).value

    def text(self, name: str) -> str:
        """The text of the only line called *name*."""
        return self.line(name).text

    def all(self, kind: str) -> list["Component"]:
        """The direct subcomponents of that kind."""
        return [part for part in self.parts if part.kind == kind]

    def walk(self) -> list["Component"]:
        """The component and all components below it."""
        return [self, *(component for part in self.parts for component in part.walk())]


def unescaped(value: str) -> str:
    """*value* without the escapes of TEXT (RFC 5545, 3.3.11)."""
    return _ESCAPED.sub(lambda found: "\n" if found[1] in "nN" else found[1], value)


def content_lines(body: bytes) -> list[str]:
    """The unfolded lines of *body*.

    Raises:
        MalformedError: line ends, folding or UTF-8 are not valid.
    """
    if body.startswith(b"\xef\xbb\xbf"):
        raise MalformedError("it begins with a byte order mark")
    if not body.endswith(b"\r\n"):
        raise MalformedError("it does not end with CRLF")
    lines: list[str] = []
    for number, line in enumerate(body[:-2].split(b"\r\n"), start=1):
        if b"\r" in line or b"\n" in line:
            raise MalformedError(f"line {number} has a bare CR or LF")
        if not 0 < len(line) <= _MAX_LINE:
            raise MalformedError(f"line {number} has {len(line)} bytes")
        try:
            # Each physical line must decode: folding must not split a character.
            text = line.decode()
        except UnicodeDecodeError as err:
            raise MalformedError(f"line {number} is not UTF-8") from err
        if text[0] not in " \t":
            lines.append(text)
        elif lines:
            lines[-1] += text[1:]
        else:
            raise MalformedError("it begins with a fold")
    return lines


def read(body: bytes) -> Component:
    """Parse the calendar in *body*.

    Raises:
        MalformedError: it is not exactly one valid calendar.
    """
    root = Component("")
    stack = [root]
    for text in content_lines(body):
        line = _split(text)
        if line.name == "BEGIN":
            stack.append(Component(line.value))
            stack[-2].parts.append(stack[-1])
        elif line.name == "END":
            if stack.pop().kind != line.value or not stack:
                raise MalformedError(f"{line.value} ends without a BEGIN")
        else:
            stack[-1].lines.append(line)
    if stack != [root] or [part.kind for part in root.parts] != ["VCALENDAR"]:
        raise MalformedError("it is not exactly one VCALENDAR")
    return root.parts[0]


def _split(text: str) -> Line:
    match = _LINE.fullmatch(text)
    if match is None:
        raise MalformedError(f"{text[:60]!r} is not a content line")
    name, params, value = match.groups("")
    if not name.isascii() or name != name.upper():
        raise MalformedError(f"{name!r} is not the name of a property")
    return Line(name, params, value)
