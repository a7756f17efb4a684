"""Measurements of the bridge, each compared with another server or with a limit."""
