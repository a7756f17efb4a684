"""The provider: what TeamUp calls the studio of an account."""

from urllib.parse import quote

from bridge.clock import Clock
from bridge.text_cleanup import clip, one_line
from bridge.upstream.budget import Purpose
from bridge.upstream.client import PAGE_SECONDS, Client, RequestContext
from bridge.upstream.deadline import Deadline

_MAX_UNITS = 100


def provider_name(client: Client, provider_id: str, clock: Clock) -> str:
    """The name of the provider with this id (``TEAMUP_PROVIDER_ID``); empty if it is not stated.

    Raises:
        UpstreamError: the request failed.
    """
    body = client.page(
        f"providers/{quote(provider_id, safe='')}",
        [],
        RequestContext(Deadline(clock, PAGE_SECONDS), Purpose.BACKGROUND),
    )
    name = body.get("name")
    return clip(one_line(name), _MAX_UNITS) if isinstance(name, str) else ""
