"""Content lines: a calendar's bytes read back without any leniency (RFC 5545, 3.1 to 3.6)."""

from collections.abc import Iterator
from dataclasses import dataclass, field

_LONGEST = 75


class MalformedError(ValueError):
    """A calendar is not as it has to be; the text says what is wrong."""


@dataclass
class Line:
    """A content line, unfolded; its value as it stands."""

    name: str
    params: str
    value: str

    @property
    def text(self) -> str:
        """The value read as TEXT (RFC 5545, 3.3.11).

        Raises:
            MalformedError: TEXT cannot hold it.
        """
        return "".join(self._characters())

    def _characters(self) -> Iterator[str]:
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
    """A component: its own lines, and the components in it."""

    kind: str
    lines: list[Line] = field(default_factory=list)
    parts: list["Component"] = field(default_factory=list)

    def names(self) -> list[str]:
        """The names of its lines, in their order."""
        return [line.name for line in self.lines]

    def line(self, name: str) -> Line:
        """The one line of that name.

        Raises:
            MalformedError: there is none, or there are several.
        """
        found = [line for line in self.lines if line.name == name]
        if len(found) != 1:
            raise MalformedError(f"{self.kind} has {name} {len(found)} times")
        return found[0]

    def value(self, name: str) -> str:
        """The value of the one line of that name."""
        return self.line(name).value

    def text(self, name: str) -> str:
        """The text of the one line of that name."""
        return self.line(name).text

    def all(self, kind: str) -> list["Component"]:
        """The components of that kind that are in it."""
        return [part for part in self.parts if part.kind == kind]

    def walk(self) -> list["Component"]:
        """It, and all below it."""
        return [self, *(below for part in self.parts for below in part.walk())]


def content_lines(body: bytes) -> list[str]:
    """The unfolded lines of *body*.

    Raises:
        MalformedError: a byte is not as it has to be: line ends, folds, UTF-8.
    """
    if body.startswith(b"\xef\xbb\xbf"):
        raise MalformedError("it begins with a byte order mark")
    if not body.endswith(b"\r\n"):
        raise MalformedError("it does not end with CRLF")
    lines: list[str] = []
    for number, line in enumerate(body[:-2].split(b"\r\n"), start=1):
        if b"\r" in line or b"\n" in line:
            raise MalformedError(f"line {number} has a bare CR or LF")
        if not 0 < len(line) <= _LONGEST:
            raise MalformedError(f"line {number} has {len(line)} bytes")
        try:
            # Strictly: a fold inside a character would not decode.
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
    """The calendar in *body*.

    Raises:
        MalformedError: it is not one calendar.
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
                raise MalformedError(f"{line.value} ends, and did not begin")
        else:
            stack[-1].lines.append(line)
    if stack != [root] or [part.kind for part in root.parts] != ["VCALENDAR"]:
        raise MalformedError("it is not one VCALENDAR from end to end")
    return root.parts[0]


def _split(text: str) -> Line:
    """Name, parameters and value: at the first colon outside of quotes."""
    quoted = False
    for at, character in enumerate(text):
        quoted ^= character == '"'
        if character == ":" and not quoted:
            name, _, params = text[:at].partition(";")
            if not name.isascii() or name != name.upper():
                raise MalformedError(f"{name!r} is no name of a property")
            return Line(name, params, text[at + 1 :])
    raise MalformedError(f"{text[:60]!r} is no content line")
