"""Static assets and the studio's logo, under versioned paths: /static/<digest>/<name>."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from flask import Blueprint, Flask, Response, abort, current_app, request

from bridge.config import Logo
from bridge.feeds.feed import Body
from bridge.web.feed_responses import CORS
from bridge.web.middleware import security_headers
from bridge.web.representation import Representation, respond

blueprint = Blueprint("assets", __name__)

_FOLDER = Path(__file__).parent / "static"
_MIME_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
_YEAR_SECONDS = 31_536_000
# For a request with an old digest, from a cached page: it gets the current file.
_OUTDATED_SECONDS = 300
_HOUR_SECONDS = 3_600
_NO_HEADERS: Mapping[str, str] = {}
# The logo is a file from elsewhere. In an <img> its scripts do not run; this is for browsers that
# open it as a page of its own.
_INERT = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:;"
    " sandbox"
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A static file.

    Attributes:
        body: its ETag is the digest in the path.
        headers: additional headers of its responses.
    """

    mime_type: str
    body: Body
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, plain: bytes, headers: Mapping[str, str] = _NO_HEADERS) -> "Asset":
        """The asset of a file with this name and content."""
        return cls(
            _MIME_TYPES[Path(name).suffix],
            Body(
                plain=plain,
                gzipped=gzip.compress(plain, 9, mtime=0),
                etag=hashlib.sha256(plain).hexdigest()[:10],
                changed=0.0,
            ),
            headers,
        )

    def response(
        self, max_age: int, *, immutable: bool = False, headers: Mapping[str, str] = _NO_HEADERS
    ) -> Response:
        """A 200 with the file, or a 304.

        Args:
            max_age: seconds for which caches may keep it.
            immutable: whether the content at its address never changes (RFC 8246).
            headers: additional headers.
        """
        cache_control = f"public, max-age={max_age}{', immutable' if immutable else ''}"
        all_headers = {
            **security_headers.SAFE,
            "Cache-Control": cache_control,
            "Vary": "Accept-Encoding",
            **self.headers,
            **headers,
        }
        return respond(
            request,
            Representation(
                self.body,
                headers=[*all_headers.items()],
                content=[("Content-Type", self.mime_type)],
                max_age=max_age,
            ),
        )


def register(app: Flask, logo: Logo | None) -> None:
    """Add the assets to *app*.

    Args:
        logo: the studio's; its asset has the name of :func:`logo_name`.
    """
    app.extensions["assets"] = dict(_static_files())
    if logo is not None:
        name = logo_name(logo)
        app.extensions["assets"][name] = Asset.of(name, logo.content, _INERT)
    app.register_blueprint(blueprint)


def logo_name(logo: Logo) -> str:
    """The name of the asset that is the studio's logo."""
    return f"logo{logo.suffix}"


@cache
def _static_files() -> Mapping[str, Asset]:
    files = sorted(path for path in _FOLDER.iterdir() if path.suffix in _MIME_TYPES)
    return {path.name: Asset.of(path.name, path.read_bytes()) for path in files}


def _assets() -> Mapping[str, Asset]:
    assets: Mapping[str, Asset] = current_app.extensions["assets"]
    return assets


def path(name: str) -> str:
    """The versioned path of an asset; the content at this path never changes."""
    return f"/static/{_assets()[name].body.etag}/{name}"


@blueprint.route("/static/<version>/<name>")
def show(version: str, name: str) -> Response:
    """Serve an asset."""
    asset = _assets().get(name)
    if asset is None:
        abort(404)
    if version != asset.body.etag:
        return asset.response(_OUTDATED_SECONDS)
    return asset.response(_YEAR_SECONDS, immutable=True)


@blueprint.route("/embed.js")
def embed_script() -> Response:
    """The script that resizes embedded frames. Other sites contain this address."""
    # Pages with cross-origin isolation may load it, too.
    headers = {**CORS, "Cross-Origin-Resource-Policy": "cross-origin"}
    return _assets()["embed.js"].response(_HOUR_SECONDS, headers=headers)
