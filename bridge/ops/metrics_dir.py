"""The directory in which the workers of one machine share their Prometheus metrics."""

import os
import shutil
import sys
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
_KINDS = ("counter", "histogram", "gauge_livesum")
# All routes of a studio take half of the first number.
_FILE_BYTES, _FILE_BYTES_PER_STUDIO = 512 * 1024, 32 * 1024


def begin(workers: int) -> None:
    """Set up an empty directory if there are several *workers*; call before they are started.

    A worker that replaces another continues its counts. A restarted server starts from zero, even
    if it has the same process id as before, as in a container.
    """
    try:
        if configured := os.environ.get(DIR_VARIABLE):
            _empty(Path(configured))
            return
        memory = os.access(_MEMORY, os.W_OK | os.X_OK)
        parent = Path(_MEMORY if memory else tempfile.gettempdir())
        _remove_abandoned(parent)
        if workers > 1:
            prefix = f"{_PREFIX}{os.getpid()}-"
            os.environ[DIR_VARIABLE] = tempfile.mkdtemp(prefix=prefix, dir=parent)
    except OSError as err:
        if workers > 1:
            _give_up(err)


def join(studios: int) -> None:
    """Reserve the space in which this worker counts; call it in the worker.

    The library maps its files into memory: where a full disk has no space for a page, the kernel
    ends the process that writes to it. Without space a worker counts for itself.

    Args:
        studios: how many have counts of their own.
    """
    if not (name := os.environ.get(DIR_VARIABLE)):
        return
    directory = Path(name)
    own = [directory / f"{kind}_{os.getpid()}.db" for kind in _KINDS]
    try:
        # a folder for temporary files is tidied up at times
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file in directory.glob("*_*.db"):
            pid = file.stem.rpartition("_")[2]
            if pid.isdecimal() and not runs(int(pid)):
                _trim(file)
        for file in own:
            with file.open("ab") as content:
                size = _FILE_BYTES + studios * _FILE_BYTES_PER_STUDIO - content.tell()
                content.write(bytes(max(0, size)))
    except OSError as err:
        _give_up(err)
        for file in own:
            with suppress(OSError):
                file.unlink()


def _give_up(err: OSError) -> None:
    os.environ.pop(DIR_VARIABLE, None)
    reason = err.strerror or str(err)
    log.warning("no space for common metrics: each worker shows its own only", error=reason)


def _trim(file: Path) -> None:
    """Free the space that a worker that has ended has not used.

    The first four bytes of a file are the number of bytes in use.
    """
    with suppress(FileNotFoundError), file.open("r+b") as content:
        content.truncate(max(8, int.from_bytes(content.read(4), sys.byteorder)))


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
