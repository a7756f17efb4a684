"""Numbers: the folder in which the workers of one machine count together."""

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import structlog

log = structlog.get_logger()

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable of prometheus-client that names the folder. It has to be set before the library is
imported, so nothing that is imported here may import it."""

_NAME = "bridge-numbers-"
# In memory where there is such a place: every count is written there.
_MEMORY = "/dev/shm"  # noqa: S108 - the folder in it has a name that nobody can guess


def begin(workers: int) -> None:
    """Count from nothing, together where there are several *workers*; for processes begun later.

    A worker that takes the place of another goes on counting; a server that is started anew, which
    has the same process id in a container, begins anew.
    """
    given = os.environ.get(FOLDER)
    if given:
        _empty(Path(given))
        return
    place = _place()
    if place is None:
        if workers > 1:
            log.warning("no folder for temporary files: each worker shows metrics of its own")
        return
    _sweep(place)
    if workers > 1:
        os.environ[FOLDER] = tempfile.mkdtemp(prefix=f"{_NAME}{os.getpid()}-", dir=place)


def _place() -> Path | None:
    if os.access(_MEMORY, os.W_OK | os.X_OK):
        return Path(_MEMORY)
    with suppress(FileNotFoundError):
        return Path(tempfile.gettempdir())
    return None


def _empty(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.db"):
        file.unlink(missing_ok=True)


def _sweep(place: Path) -> None:
    """Remove what servers that are gone have left behind."""
    for folder in place.glob(f"{_NAME}*"):
        pid = folder.name.removeprefix(_NAME).partition("-")[0]
        if folder.stat().st_uid == os.getuid() and pid.isdecimal() and not _serving(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _serving(pid: int) -> bool:
    if pid == os.getpid():
        return False
    with suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True
