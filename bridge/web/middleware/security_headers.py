"""Security: what browsers and search engines are told about every answer."""

from collections.abc import Mapping, Sequence

from flask import Flask, Response

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

_PERSONAL = ("no-store", "private")


def register(app: Flask) -> None:
    """Put on every answer of *app* what has to be on it, whoever made it."""

    @app.after_request
    def guard(response: Response) -> Response:
        for name, value in SAFE.items():
            response.headers.setdefault(name, value)
        # What no shared cache may keep, no search engine may list.
        if response.headers.get("Cache-Control", "").startswith(_PERSONAL):
            response.headers.setdefault("X-Robots-Tag", "noindex")
        return response


def page_headers(path: str, embedders: Sequence[str]) -> dict[str, str]:
    """The headers of a page.

    Args:
        path: the page's own.
        embedders: origins that may frame what is made for it.
    """
    ancestors = " ".join(embedders) if path.startswith(EMBEDDED) else "'none'"
    policy = "; ".join((*_POLICY, f"frame-ancestors {ancestors}"))
    return {**SAFE, "Content-Security-Policy": policy}
