"""Error responses in TeamUp's format."""

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
    """An error that becomes the response.

    Args:
        status: HTTP status.
        code: TeamUp's ``code``; by default that of the status. Independent clients have seen these
            codes; ``type`` is documented nowhere, so its values are a guess.
        fields: parameter → error message.
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
        """The error as an HTTP response."""
        return Response(json.dumps(self.body), self.status, mimetype="application/json")
