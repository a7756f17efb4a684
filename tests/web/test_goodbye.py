"""The end of a connection that is kept open."""

import pytest
from flask.testing import FlaskClient

from bridge import ending

PATHS = ["/venues/12.ics", "/", "/healthz", "/nowhere", "/venues/12.ics?past=x"]


@pytest.mark.parametrize("path", PATHS)
def test_before_the_end_a_connection_may_be_kept(site: FlaskClient, path: str) -> None:
    assert "Connection" not in site.get(path).headers


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_near_the_end_every_answer_is_the_last_of_its_connection(
    site: FlaskClient, monkeypatch: pytest.MonkeyPatch, path: str, method: str
) -> None:
    before = site.open(path, method=method)
    monkeypatch.setattr(ending, "near", True)
    answer = site.open(path, method=method)
    assert answer.headers.getlist("Connection") == ["close"]
    assert (answer.status, answer.data) == (before.status, before.data)
