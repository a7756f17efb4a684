"""Creates the README's screenshots from the demo studio."""

import sys
from pathlib import Path

from browser.bridges import bridge
from browser.chromium import ChromiumNotFound, chromium

IMAGES = Path(__file__).parent.parent.parent / "docs" / "images"
SCREENSHOTS = {"start": "/", "venue": "/venues/12"}
SETTINGS = {"public_base_url": "https://calendar.example.org", "studio_name": "Riverside Movement"}
MAX_BYTES = 150_000


def main() -> int:
    """Save all screenshots and print their paths."""
    try:
        with bridge(**SETTINGS) as live, chromium() as tab:
            for name, path in SCREENSHOTS.items():
                tab.emulate(width=1280, height=800).open(live.url(path))
                tab.wait_for_preview()
                picture = IMAGES / f"{name}.png"
                tab.screenshot(picture, whole=False)
                size = picture.stat().st_size
                sys.stdout.write(f"{picture.relative_to(IMAGES.parent.parent)}: {size} bytes\n")
                if size > MAX_BYTES:
                    return 1
    except ChromiumNotFound:
        sys.exit("Chromium is missing: `make test-deps` installs it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
