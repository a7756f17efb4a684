"""HTTP: the only package that knows Flask."""

from bridge.web.application import create_app, create_asgi

__all__ = ["create_app", "create_asgi"]
