"""Tests of the tests: the clients notice the mistakes in `mutations`."""

import pytest

from clients.events import Rejected, difference
from clients.mutations import MUTATIONS
from clients.test_acceptance import CLIENTS

FEED = "venue 14"


def read(client, mistake, load, sample):
    """Read the feed with *mistake*; return the reason for a rejection, and the events.

    Any exception rejects.
    """
    body = sample(FEED).body
    noticed = [m.make(body) for m in MUTATIONS.values() if client in (*m.rejects, *m.misreads)]
    try:
        return "", load(client, noticed)(MUTATIONS[mistake].make(body))
    except AssertionError:
        raise  # a program is broken
    except Rejected as error:
        return str(error) or "rejected", []
    except Exception as error:  # noqa: BLE001 - each client has errors of its own
        return repr(error), []


@pytest.mark.parametrize(
    ("mistake", "client"),
    [(name, client) for name, mutation in MUTATIONS.items() for client in mutation.rejects],
)
def test_a_client_rejects_the_mistake(mistake, client, load, sample):
    reason, _ = read(client, mistake, load, sample)
    assert reason


@pytest.mark.parametrize(
    ("mistake", "client"),
    [(name, client) for name, mutation in MUTATIONS.items() for client in mutation.misreads],
)
def test_a_client_misreads_the_mistake(mistake, client, load, sample):
    reason, events = read(client, mistake, load, sample)
    assert not reason
    assert difference(events, sample(FEED).expected)


@pytest.mark.parametrize("mistake", MUTATIONS)
def test_the_strict_reader_rejects_every_mistake(mistake, load, sample):
    body = sample(FEED).body
    assert MUTATIONS[mistake].make(body) != body
    reason, _ = read("strict", mistake, load, sample)
    assert reason


@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_rejects_something(client):
    assert client == "strict" or any(client in m.rejects for m in MUTATIONS.values())
