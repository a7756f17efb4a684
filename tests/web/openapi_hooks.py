"""Hooks for schemathesis (see schemathesis.toml): the rules that a schema cannot express.

Each parameter of a request is valid by itself; these combinations of them are refused, as the
description of the API says in words.
"""

import os
from typing import Any

import schemathesis

TOKEN = os.environ.get("PRIVATE_TOKEN")
"""The token of an existing private feed."""
WINDOW = {"past": "_gte", "future": "_lte"}


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Remove parameters that contradict others from a request that is meant to be valid."""
    if not case.meta.generation.mode.is_positive:
        return
    if "token" in case.path_parameters and TOKEN:
        case.path_parameters["token"] = TOKEN
    query = case.query
    for days, suffix in WINDOW.items():
        if any(name.endswith(suffix) for name in query):
            query.pop(days, None)
    if any(name.endswith("_gte") for name in query):
        for name in [name for name in query if name.endswith("_lte")]:
            del query[name]
    for first, last in (("time_from", "time_until"), ("start", "end")):
        if first in query and last in query:
            del query[last]
