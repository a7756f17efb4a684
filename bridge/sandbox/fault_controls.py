"""Switches the sandbox's simulated faults over HTTP."""

import json
from typing import Any

from flask import Blueprint, Response, request

from bridge.sandbox.api_error import ApiError
from bridge.sandbox.faults import Faults

CONTROL_PATH = "/_sandbox/"


def create_controls(faults: Faults) -> Blueprint:
    """Create ``/_sandbox/faults``: GET lists the active faults, PUT sets some, DELETE clears all.

    A PUT takes an object of kind → value (``{"delay": 2}``), kind → a fault's attributes
    (``{"status": {"value": 503, "page": 2, "retry_after": "5", "times": 1, "source": "events"}}``),
    or kind → false or null, which clears that kind. ``events/status`` in place of a kind limits it
    to one list. Other kinds do not change. Each response lists the active faults.
    """
    controls = Blueprint("controls", __name__, url_prefix=CONTROL_PATH)

    @controls.get("faults")
    def show() -> Response:
        return _listing(faults)

    @controls.put("faults")
    def update() -> Response:
        settings = request.get_json(force=True)
        if not isinstance(settings, dict):
            raise ApiError(400, "Send an object of faults.")
        try:
            for name, setting in settings.items():
                _apply(faults, name, setting)
        except (TypeError, ValueError) as err:
            raise ApiError(400, str(err)) from err
        return _listing(faults)

    @controls.delete("faults")
    def clear() -> Response:
        faults.clear()
        return _listing(faults)

    return controls


def _apply(faults: Faults, name: str, setting: Any) -> None:
    path, _, kind = name.rpartition("/")
    source = path or None
    if setting is None or setting is False:
        faults.clear(kind, source=source)
    elif isinstance(setting, dict):
        faults.set(kind, **{"source": source, **setting})
    else:
        faults.set(kind, setting, source=source)


def _listing(faults: Faults) -> Response:
    return Response(json.dumps(faults.listing()), mimetype="application/json")
