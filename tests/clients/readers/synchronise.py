"""vdirsyncer: synchronises as the settings in the file that is given say, once."""

import sys

from vdirsyncer.cli import app

for step in ("discover", "sync"):
    app(["-c", sys.argv[1], step], standalone_mode=False)
