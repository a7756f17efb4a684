"""Tests of the tests: the clients notice the mistakes in `mutations`."""

import pytest

from clients.events import Rejected, difference
from clients.mutations import MUTATIONS
from clients.test_acceptance import CLIENTS

FEED = "venue 12"


def read(load, body):
    """Read *body*; return the reason for a rejection, and the events. Any exception rejects."""
    try:
        return "", load(body)
    except Rejected as error:
        return str(error) or "rejected", []
    except Exception as error:  # noqa: BLE001 - each client has errors of its own
        return repr(error), []


@pytest.mark.parametrize(
    ("mistake", "client"),
    [(name, client) for name, mutation in MUTATIONS.items() for client in mutation.rejects],
)
def test_a_client_rejects_the_mistake(mistake, client, load, sample):
    reason, _ = read(load(client), MUTATIONS[mistake].make(sample(FEED).body))
    assert reason


@pytest.mark.parametrize(
    ("mistake", "client"),
    [(name, client) for name, mutation in MUTATIONS.items() for client in mutation.misreads],
)
def test_a_client_misreads_the_mistake(mistake, client, load, sample):
    feed = sample(FEED)
    reason, events = read(load(client), MUTATIONS[mistake].make(feed.body))
    assert not reason
    assert difference(events, feed.expected)


@pytest.mark.parametrize("mistake", MUTATIONS)
def test_the_strict_reader_rejects_every_mistake(mistake, load, sample):
    body = sample(FEED).body
    mutated = MUTATIONS[mistake].make(body)
    assert mutated != body
    reason, _ = read(load("strict"), mutated)
    assert reason


@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_rejects_something(client):
    assert client == "strict" or any(client in m.rejects for m in MUTATIONS.values())
