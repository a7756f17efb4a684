"""The directory in which the workers of one machine share their Prometheus metrics."""

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import structlog

log = structlog.get_logger()

DIR_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable from which prometheus-client reads the directory. It must be set before
the library is imported, so this module and its imports must not import the library."""

_PREFIX = "bridge-numbers-"
# In memory if possible, because every count is written to the directory.
_MEMORY = "/dev/shm"  # noqa: S108 - the directory's name cannot be guessed


def begin(workers: int) -> None:
    """Set up an empty directory if there are several *workers*; call before they are started.

    A worker that replaces another continues its counts. A restarted server starts from zero, even
    if it has the same process id as before, as in a container.
    """
    configured = os.environ.get(DIR_VARIABLE)
    if configured:
        _empty(Path(configured))
        return
    parent = _parent_directory()
    if parent is None:
        if workers > 1:
            log.warning("no directory for temporary files: each worker shows its own metrics only")
        return
    _remove_abandoned(parent)
    if workers > 1:
        os.environ[DIR_VARIABLE] = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent)


def _parent_directory() -> Path | None:
    if os.access(_MEMORY, os.W_OK | os.X_OK):
        return Path(_MEMORY)
    with suppress(FileNotFoundError):
        return Path(tempfile.gettempdir())
    return None


def _empty(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for file in directory.glob("*.db"):
        file.unlink(missing_ok=True)


def _remove_abandoned(parent: Path) -> None:
    """Remove the directories of servers that no longer run."""
    for directory in parent.glob(f"{_PREFIX}*"):
        pid = directory.name.removeprefix(_PREFIX).partition("-")[0]
        try:
            own = directory.stat().st_uid == os.getuid()
        except FileNotFoundError:
            continue  # another server that starts has removed it
        if own and pid.isdecimal() and (int(pid) == os.getpid() or not runs(int(pid))):
            shutil.rmtree(directory, ignore_errors=True)


def runs(pid: int) -> bool:
    """Whether a process of this user has the id *pid*.

    One of another user is neither a server nor a worker of ours: the id has been used again.
    """
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
