"""HTTP: routes, pages and middleware. Except for the command line, only this package uses Flask."""

from bridge.web.application import create_app, create_asgi

__all__ = ["create_app", "create_asgi"]
