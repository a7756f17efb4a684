"""HTTP sessions that send a request to its address only, and can be cut at a deadline."""

from http.cookiejar import DefaultCookiePolicy

import requests

from bridge.upstream.deadline import GuardedAdapter


def new_session(connections: int) -> requests.Session:
    """A session without cookies, proxies and retries, whose connections a Guard can cut.

    Pass ``allow_redirects=False`` to each request: a redirect is then a response like any other.

    Args:
        connections: how many it keeps open.
    """
    session = _Session()
    # A .netrc file would replace the Authorization header; a proxy from the environment would
    # receive secrets.
    session.trust_env = False
    session.cookies.set_policy(_NoCookiesPolicy())
    adapter = GuardedAdapter(pool_connections=2, pool_maxsize=connections, max_retries=0)
    for scheme in ("https://", "http://"):
        session.mount(scheme, adapter)
    return session


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        # Even without following redirects, the library parses their target, and fails on bad ones.
        return None


class _NoCookiesPolicy(DefaultCookiePolicy):
    """Rejects all cookies of servers."""

    def set_ok(self, cookie: object, request: object) -> bool:
        return False
