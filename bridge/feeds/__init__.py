"""Feeds: parameters, specification, selection of sessions, and formats."""
