"""A minimal request with an account's credentials, to check whether upstream accepts them."""

from bridge.clock import Clock
from bridge.errors import Cause, UpstreamError
from bridge.upstream.account import Account
from bridge.upstream.budget import RequestBudget
from bridge.upstream.client import PAGE_SECONDS, Client, RequestContext
from bridge.upstream.deadline import Deadline
from bridge.upstream.sources import Source


def probe(account: Account, source: Source, budget: RequestBudget, clock: Clock) -> Cause | None:
    """Request one row. Returns the cause of the failure, or None if upstream answered."""
    client = Client(account, budget, clock, connections=1)
    try:
        client.page(
            source.path,
            [("sort", "start"), ("page_size", "1"), ("fields", "id")],
            RequestContext(Deadline(clock, PAGE_SECONDS)),
        )
    except UpstreamError as err:
        return err.cause
    finally:
        client.close()
    return None
