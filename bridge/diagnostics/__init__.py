"""The doctor behind ``check``: looks at settings and surroundings, and says what to change."""

from bridge.diagnostics.runner import run_checks

__all__ = ["run_checks"]
