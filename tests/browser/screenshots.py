"""The README's pictures: the pages as a visitor of the sandbox sees them."""

import sys
from pathlib import Path

from browser.bridges import bridge
from browser.chromium import Missing, chromium

IMAGES = Path(__file__).parent.parent.parent / "docs" / "images"
PICTURES = {"start": "/", "venue": "/venues/12"}
MOST_BYTES = 150_000


def main() -> int:
    """Take each picture, and say where it is."""
    try:
        with bridge(public_base_url="https://calendar.example.org") as live, chromium() as tab:
            for name, path in PICTURES.items():
                tab.look(width=1280, height=800).open(live.url(path))
                tab.wait_for_preview()
                picture = IMAGES / f"{name}.png"
                tab.screenshot(picture, whole=False)
                size = picture.stat().st_size
                sys.stdout.write(f"{picture.relative_to(IMAGES.parent.parent)}: {size} bytes\n")
                if size > MOST_BYTES:
                    return 1
    except Missing:
        sys.exit("Chromium is missing: `make test-deps` installs it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
