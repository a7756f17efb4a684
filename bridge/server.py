"""The server's process: granian, whose workers can be told to end at any time."""

import os
import signal

from granian.cli import entrypoint


def _heed_signals() -> None:
    """Let a worker that does not serve yet end at once.

    Until it has handlers of its own it has those of the process that it was forked from, which
    would take its signal for theirs, and it would be killed long after.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


if __name__ == "__main__":
    os.register_at_fork(after_in_child=_heed_signals)
    entrypoint()  # type: ignore[no-untyped-call]
