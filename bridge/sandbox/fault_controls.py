"""The controls: faults switched over HTTP, while the server runs."""

import json
from typing import Any

from flask import Blueprint, Response, request

from bridge.sandbox.api_error import ApiError
from bridge.sandbox.faults import Faults

CONTROL_PATH = "/_sandbox/"


def create_controls(faults: Faults) -> Blueprint:
    """``/_sandbox/faults``: GET lists what is on, PUT switches, DELETE ends all.

    A PUT takes an object of kind → value (``{"delay": 2}``), kind → a fault's attributes
    (``{"status": {"value": 503, "page": 2, "retry_after": "5", "times": 1}}``), or kind → false or
    null, which ends that kind. Kinds that it does not name stay as they are. Every answer is the
    listing.
    """
    controls = Blueprint("controls", __name__, url_prefix=CONTROL_PATH)

    @controls.get("faults")
    def listing() -> Response:
        return _answer(faults)

    @controls.put("faults")
    def switch() -> Response:
        wanted = request.get_json(force=True)
        if not isinstance(wanted, dict):
            raise ApiError(400, "Send an object of faults.")
        try:
            for kind, setting in wanted.items():
                _switch(faults, kind, setting)
        except (TypeError, ValueError) as err:
            raise ApiError(400, str(err)) from err
        return _answer(faults)

    @controls.delete("faults")
    def end() -> Response:
        faults.clear()
        return _answer(faults)

    return controls


def _switch(faults: Faults, kind: str, setting: Any) -> None:
    if setting is None or setting is False:
        faults.clear(kind)
    elif isinstance(setting, dict):
        faults.set(kind, **setting)
    else:
        faults.set(kind, setting)


def _answer(faults: Faults) -> Response:
    return Response(json.dumps(faults.listing()), mimetype="application/json")
