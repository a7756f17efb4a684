"""The settings of a running ``make run`` on the sandbox, for the commands on the same machine.

The server writes them to a file and keeps the file locked until it ends. A command without a token
reads them, so that it works with the same sandbox and the same store.

    lock = local_run.share(settings)  # in the server; keep the result
    local_run.adopt()                 # in a command, before it loads the settings
"""

import fcntl
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from bridge import config
from bridge.config.variables import environment, is_set

FILE = Path(__file__).parent.parent / "var" / "sandbox.json"


def share(settings: Mapping[str, str]) -> IO[str] | None:
    """Write *settings* for the commands, unless another server has done so or a store is set.

    Args:
        settings: environment variables that the server has set itself.

    Returns:
        The locked file; closing it, or the end of the process, withdraws the settings.
    """
    if _has_own_store(environment()):
        return None
    try:
        FILE.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        # The server works without the file.
        return None
    file = os.fdopen(descriptor, "w", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    file.truncate(0)
    json.dump(dict(settings), file)
    file.flush()
    return file


def adopt() -> None:
    """Set the variables of a running server that serves the sandbox, if no token is set.

    Raises:
        ConfigError: ``.env`` cannot be read.
    """
    env = environment()
    if config.has_account(env) or _has_own_store(env):
        return
    with suppress(OSError, ValueError), FILE.open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            os.environ |= json.load(file)


def _has_own_store(values: Mapping[str, str]) -> bool:
    """Whether a store is set: then commands work with that store, and need a token as well."""
    return any(is_set(values, name) for name in ("CACHE_URL", "REDIS_URL"))
