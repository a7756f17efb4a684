"""Assets: the bridge's own styles, scripts and pictures, under addresses that change with them."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flask import Blueprint, Response, abort, request

from bridge.feeds.feed import Body
from bridge.web.feed_responses import CORS
from bridge.web.middleware import security_headers
from bridge.web.representation import Representation, answer

blueprint = Blueprint("assets", __name__)

_FOLDER = Path(__file__).parent / "static"
_MIME_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_YEAR = 31_536_000
# A page that a cache kept over a new version asks for the old one: it gets what there is.
_BRIEFLY = 300
_HOUR = 3_600
_NONE: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is served.

    Attributes:
        body: its tag is the version, which changes with its bytes.
    """

    mime_type: str
    body: Body

    @classmethod
    def of(cls, path: Path) -> "Asset":
        """The asset that a file is."""
        plain = path.read_bytes()
        return cls(
            _MIME_TYPES[path.suffix],
            Body(
                plain=plain,
                zipped=gzip.compress(plain, 9, mtime=0),
                tag=hashlib.sha256(plain).hexdigest()[:10],
                changed=0.0,
                name=path.name,
                sessions=0,
            ),
        )

    def response(
        self, max_age: int, *, immutable: bool = False, headers: Mapping[str, str] = _NONE
    ) -> Response:
        """The file, or 304.

        Args:
            max_age: seconds for which it may be kept.
            immutable: its address never holds anything else (RFC 8246).
            headers: further ones.
        """
        lifetime = f"public, max-age={max_age}{', immutable' if immutable else ''}"
        every = {
            **security_headers.SAFE,
            "Cache-Control": lifetime,
            "Vary": "Accept-Encoding",
            **headers,
        }
        return answer(
            request,
            Representation(
                self.body,
                headers=[*every.items()],
                content=[("Content-Type", self.mime_type)],
                max_age=max_age,
            ),
        )


@cache
def _assets() -> Mapping[str, Asset]:
    files = sorted(path for path in _FOLDER.iterdir() if path.suffix in _MIME_TYPES)
    return {path.name: Asset.of(path) for path in files}


def path(name: str) -> str:
    """Where the asset of that name is found: an address that never holds anything else."""
    return f"/static/{_assets()[name].body.tag}/{name}"


@blueprint.route("/static/<version>/<name>")
def show(version: str, name: str) -> Response:
    """An asset."""
    asset = _assets().get(name)
    if asset is None:
        abort(404)
    if version != asset.body.tag:
        return asset.response(_BRIEFLY)
    return asset.response(_YEAR, immutable=True)


@blueprint.route("/embed.js")
def embed_script() -> Response:
    """The script that fits a frame to its content; sites hold on to its address."""
    # A page that isolates itself may load it all the same.
    isolated = {**CORS, "Cross-Origin-Resource-Policy": "cross-origin"}
    return _assets()["embed.js"].response(_HOUR, headers=isolated)
