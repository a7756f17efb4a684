"""Snapshots of the timetable: fetched, merged, published, cached and refreshed."""
