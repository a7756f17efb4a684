"""Security: what a browser is told about every page."""

from collections.abc import Mapping, Sequence

SAFE: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
EMBEDDED = "/embed/"
"""What the path of a page begins with that other sites may frame."""

_POLICY = (
    "default-src 'none'",
    "style-src 'self'",
    "script-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
)


def page_headers(path: str, embedders: Sequence[str]) -> dict[str, str]:
    """The headers of a page.

    Args:
        path: the page's own.
        embedders: origins that may frame what is made for it.
    """
    ancestors = " ".join(embedders) if path.startswith(EMBEDDED) else "'none'"
    policy = "; ".join((*_POLICY, f"frame-ancestors {ancestors}"))
    return {**SAFE, "Content-Security-Policy": policy}
