"""The TeamUp feed bridge: a studio's timetable as calendar feeds."""

__version__ = "0.3.0.dev0"
"""The version; pyproject.toml has it as well, and a test compares them."""
