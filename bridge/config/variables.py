"""Variables: the texts of the settings, from the environment, ``.env`` or a studio's table."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar, cast

from dotenv import dotenv_values

from bridge.config.parsers import SettingError, content_of
from bridge.errors import ConfigError

T = TypeVar("T")

FILE = Path(__file__).parent.parent.parent / ".env"
"""Variables of a local installation; those of the environment take precedence."""


def environment() -> dict[str, str]:
    """The environment variables, and those of ``.env`` beside ``app.py``.

    Raises:
        ConfigError: ``.env`` cannot be read.
    """
    in_file = {name: text for name, text in _file().items() if text is not None}
    return in_file | os.environ


def names_in_file() -> list[str]:
    """The variables of ``.env``.

    Raises:
        ConfigError: it cannot be read.
    """
    return list(_file())


def _file() -> Mapping[str, str | None]:
    try:
        return dotenv_values(FILE)
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError({".env": "cannot be read; accepted: a text file in UTF-8"}) from err


def is_set(values: Mapping[str, str], name: str) -> bool:
    """Whether the setting *name* has a value that is not empty, or the file of one."""
    return any(values.get(variable, "").strip() for variable in (name, f"{name}_FILE"))


class Variables:
    """Reads settings, and collects what is wrong with them.

    Attributes:
        names: of all settings that were read.
        problems: by name, what is wrong and what is accepted.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self.names: set[str] = set()
        self.problems: dict[str, str] = {}
        self._values = values

    def is_set(self, name: str) -> bool:
        """See :func:`is_set`."""
        self.names |= {name, f"{name}_FILE"}
        return is_set(self._values, name)

    def read(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """The value of the setting *name*; an unset or empty one has its default.

        Web forms and Compose files write an empty value for a setting that is not set. If the value
        cannot be used, the problem is recorded, and the result is None.
        """
        self.names.add(name)
        text = self._values.get(name, "").strip()
        try:
            text.encode()
            return parse(text) if text else default
        except UnicodeEncodeError:
            self.problems[name] = "its value is not UTF-8; accepted: text in UTF-8"
        except SettingError as err:
            self.problems[name] = str(err)
        return cast(T, None)

    def read_secret(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """The value of a secret, like :meth:`read`, or that in the file ``<name>_FILE``."""
        given = self.read(name, str, "")
        content = self.read(f"{name}_FILE", content_of(name, parse, given=bool(given)), default)
        return self.read(name, parse, default) if given else content
