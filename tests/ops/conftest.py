"""The webhook's receiver."""

from collections.abc import Iterator

import pytest
import webhook
from webhook import WebHook


@pytest.fixture(scope="session")
def receiver() -> Iterator[WebHook]:
    with webhook.listening() as receiver:
        yield receiver


@pytest.fixture
def hook(receiver: WebHook) -> Iterator[WebHook]:
    """A receiver that has got nothing yet and accepts all."""
    receiver.status = 204
    receiver.headers = {}
    while not receiver.posts.empty():
        receiver.posts.get()
    yield receiver
    receiver.ready.set()
