"""A checker that cannot fail proves nothing: each client notices the mistakes it is here for."""

import pytest

from clients.mutations import MUTATIONS
from clients.reading import Rejected, difference
from clients.test_acceptance import CLIENTS

FEED = "venue 12"


def noticed(load, body):
    """Why the client does not show *body*. Whatever it raises, it shows nothing."""
    try:
        return "", load(body)
    except Rejected as error:
        return str(error) or "rejected", []
    except Exception as error:  # noqa: BLE001 - each client has errors of its own
        return repr(error), []


@pytest.mark.parametrize(
    ("mistake", "client"),
    [(name, client) for name, one in MUTATIONS.items() for client in one.rejects],
)
def test_a_client_rejects(mistake, client, load, sample):
    reason, _ = noticed(load(client), MUTATIONS[mistake].make(sample(FEED).body))
    assert reason


@pytest.mark.parametrize(
    ("mistake", "client"),
    [(name, client) for name, one in MUTATIONS.items() for client in one.misreads],
)
def test_a_client_misreads(mistake, client, load, sample):
    given = sample(FEED)
    reason, read = noticed(load(client), MUTATIONS[mistake].make(given.body))
    assert not reason
    assert difference(read, given.said)


@pytest.mark.parametrize("mistake", MUTATIONS)
def test_the_strict_reader_rejects(mistake, load, sample):
    body = sample(FEED).body
    mutated = MUTATIONS[mistake].make(body)
    assert mutated != body
    reason, _ = noticed(load("to the letter"), mutated)
    assert reason


@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_rejects_something(client):
    assert client == "to the letter" or any(client in one.rejects for one in MUTATIONS.values())
