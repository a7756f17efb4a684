"""Runs vdirsyncer once with each of the given configuration files.

The last line of the output is a JSON list with the error of each, empty for none.
"""

import json
import sys

from vdirsyncer.cli import app


def synchronise(settings):
    try:
        for step in ("discover", "sync"):
            app(["-c", settings, step], standalone_mode=False)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it has been logged
        return repr(error)
    return ""


errors = [synchronise(settings) for settings in sys.argv[1:]]
print("\n" + json.dumps(errors))  # noqa: T201 - the result
