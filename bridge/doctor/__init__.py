"""The doctor behind ``check``: looks at settings and surroundings, and says what to change."""

from bridge.doctor.examination import examine

__all__ = ["examine"]
