"""Snapshots of the timetable: published, cached and refreshed."""
