"""Decoding of JSON values from the store, which may be invalid."""

import json
from typing import Any


def decode_json(value: bytes) -> Any:
    """Decode *value*; None if it is not JSON.

    The store may contain data of other versions of the program, or be corrupt. Callers treat an
    invalid value like a missing one.
    """
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None
