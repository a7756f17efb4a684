"""Asking the bridge as a patient client does."""

import time

from flask.testing import FlaskClient

_SECONDS = 120


def patiently(client: FlaskClient, path: str) -> bytes:
    """The body at *path*. On a busy machine a long walk is not over when the bridge answers 503."""
    until = time.monotonic() + _SECONDS
    response = client.get(path)
    while response.status_code == 503 and time.monotonic() < until:
        time.sleep(0.5)
        response = client.get(path)
    assert response.status_code == 200, response.text
    return response.data
