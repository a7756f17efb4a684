"""Assets: the bridge's own styles, scripts and pictures, under addresses that change with them."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flask import Blueprint, Response, abort, request

from bridge.web import security
from bridge.web.negotiation import wants_gzip
from bridge.web.responses import CORS

blueprint = Blueprint("assets", __name__)

_FOLDER = Path(__file__).parent / "static"
_MIME_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOR_EVER = "public, max-age=31536000, immutable"
# A page that a cache kept over a new version asks for the old one: it gets what there is.
_BRIEFLY = "public, max-age=300"
_HOURLY = "public, max-age=3600"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is served.

    Attributes:
        version: changes with its bytes.
    """

    name: str
    mime_type: str
    plain: bytes
    zipped: bytes
    version: str

    @classmethod
    def of(cls, path: Path) -> "Asset":
        """The asset that a file is."""
        plain = path.read_bytes()
        return cls(
            path.name,
            _MIME_TYPES[path.suffix],
            plain,
            gzip.compress(plain, 9, mtime=0),
            hashlib.sha256(plain).hexdigest()[:10],
        )

    def response(self, cache_control: str) -> Response:
        """The file, or 304."""
        zipped = wants_gzip(request.headers.get("Accept-Encoding", ""))
        headers = {
            **security.SAFE,
            "Content-Type": self.mime_type,
            "Cache-Control": cache_control,
            "Vary": "Accept-Encoding",
        }
        response = Response(self.zipped if zipped else self.plain, headers=headers)
        if zipped:
            response.headers["Content-Encoding"] = "gzip"
        response.set_etag(f"{self.version}{'-gz' if zipped else ''}")
        response.make_conditional(request)
        return response


@cache
def _assets() -> Mapping[str, Asset]:
    files = sorted(path for path in _FOLDER.iterdir() if path.suffix in _MIME_TYPES)
    return {path.name: Asset.of(path) for path in files}


def path(name: str) -> str:
    """Where the asset of that name is found: an address that never holds anything else."""
    return f"/static/{_assets()[name].version}/{name}"


@blueprint.route("/static/<version>/<name>")
def show(version: str, name: str) -> Response:
    """An asset."""
    asset = _assets().get(name)
    if asset is None:
        abort(404)
    return asset.response(_FOR_EVER if version == asset.version else _BRIEFLY)


@blueprint.route("/embed.js")
def embed_script() -> Response:
    """The script that fits a frame to its content; sites hold on to its address."""
    response = _assets()["embed.js"].response(_HOURLY)
    response.headers.update(CORS)
    # A page that isolates itself may load it all the same.
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
