"""Hurry: whether somebody waits for what a thread does."""

import threading


class Hurry(threading.local):
    """Of the present thread; threads that it starts begin without.

    Attributes:
        on: somebody waits for an answer, so a shared store that is slow is done without. What is
            left to itself, such as a walk, has the time: it must not take a slow store for one
            that is gone, and walk a second time what another machine walks already.
    """

    on: bool = False


HURRY = Hurry()
