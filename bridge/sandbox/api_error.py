"""A refusal: the vendor's error body and its status."""

import json
from collections.abc import Mapping
from http import HTTPStatus

from flask import Response

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    405: "invalid_request_error",
    429: "rate_limit_error",
}
_CODES = {
    400: "parameter_invalid",
    401: "authentication_failed",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    429: "throttled",
}


class ApiError(Exception):
    """A request that is answered with an error.

    Args:
        status: the HTTP status.
        code: the vendor's ``code``; by default the one that goes with the status. The codes are
            those that independent clients saw; ``type`` nobody has described, so it is a guess.
        fields: parameter → what is wrong with it.
    """

    def __init__(
        self,
        status: int,
        message: str = "",
        *,
        code: str | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "code": code or _CODES.get(status, "server_error"),
            "message": message or HTTPStatus(status).phrase,
            "type": _TYPES.get(status, "api_error"),
            "field_errors": {
                **{name: [problem] for name, problem in (fields or {}).items()},
                "non_field_errors": [],
            },
        }

    def response(self) -> Response:
        """The answer."""
        return Response(json.dumps(self.body), self.status, mimetype="application/json")
