"""Security headers of responses, for browsers and search engines."""

from collections.abc import Mapping, Sequence

from flask import Flask, Response

SAFE: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
EMBEDDED = "/embed/"
"""Prefix of the paths of pages that other sites may show in a frame."""

_POLICY = (
    "default-src 'none'",
    "style-src 'self'",
    "script-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
)

_NOT_SHARED = ("no-store", "private")


def register(app: Flask) -> None:
    """Add the headers that every response of *app* must have."""

    @app.after_request
    def guard(response: Response) -> Response:
        for name, value in SAFE.items():
            response.headers.setdefault(name, value)
        # Search engines must not list what shared caches must not store.
        if response.headers.get("Cache-Control", "").startswith(_NOT_SHARED):
            response.headers.setdefault("X-Robots-Tag", "noindex")
        return response


def page_headers(path: str, embedders: Sequence[str]) -> dict[str, str]:
    """The security headers of a page.

    Args:
        path: the path of the page.
        embedders: origins that may show embedded pages in a frame.
    """
    if path.startswith(EMBEDDED):
        # The page of a timetable shows a preview.
        own = () if "*" in embedders else ("'self'",)
        frames = f"frame-ancestors {' '.join((*own, *embedders))}"
    else:
        frames = "frame-src 'self'; frame-ancestors 'none'"
    policy = f"{'; '.join(_POLICY)}; {frames}"
    return {**SAFE, "Content-Security-Policy": policy}
