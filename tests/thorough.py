"""Whether tests run on all inputs and at full size, with ``THOROUGH=1`` (``make thorough``)."""

import os

THOROUGH = os.environ.get("THOROUGH") == "1"
"""Whether to test every combination and the largest sizes, which takes much longer."""
