"""Values in the store that are JSON, and what garbage in their place comes to."""

import json
from typing import Any


def decode_json(value: bytes) -> Any:
    """What *value* says; None where it is no JSON.

    The store outlives versions of the program, and disks fail: whatever is in it is at worst a
    miss.
    """
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None
