"""Readiness: what is said where no answer is at hand."""

CHARGED = "bridge.charged"
"""In the environment of a request: it is the one that asks whether there is something newer."""


class NotAtHand(Exception):
    """There is no answer that could be given without waiting.

    Attributes:
        charged: whoever was told so is to ask and wait, so that others need not.
    """

    def __init__(self, *, charged: bool = False) -> None:
        super().__init__("nothing is at hand")
        self.charged = charged
