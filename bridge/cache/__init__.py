"""Snapshots of the timetable: kept, shared and refreshed."""
