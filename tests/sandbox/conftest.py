"""The HTTP client of the sandbox tests."""

from collections.abc import Iterator

import pytest
import requests


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """An HTTP session that sends the sandbox's token."""
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = "Bearer sandbox-token"
        yield session
