"""Runs vdirsyncer once with the given configuration file."""

import sys

from vdirsyncer.cli import app

for step in ("discover", "sync"):
    app(["-c", sys.argv[1], step], standalone_mode=False)
