"""Diagnostics: the command ``check``, which tests the configuration and suggests changes."""

from bridge.diagnostics.runner import run_checks

__all__ = ["run_checks"]
