"""Long words of each language on a narrow phone."""

import pytest

from bridge.languages import available
from browser.bridges import Bridge
from browser.chromium import Chromium

# Elements whose texts are cut off at the edge.
_CUT = """
return [...document.querySelectorAll("a, button, summary, label, legend")]
  .filter((element) => element.checkVisibility() && !element.closest(".unseen, .table"))
  .filter((element) => element.getBoundingClientRect().right > innerWidth
    || element.scrollWidth > Math.max(element.clientWidth, element.offsetWidth))
  .map((element) => element.textContent.trim())
"""


@pytest.mark.parametrize("tag", available())
def test_the_texts_of_a_language_fit_on_a_narrow_phone(
    live: Bridge, tab: Chromium, tag: str
) -> None:
    for path in ("/", "/venues/12"):
        tab.emulate(width=320, height=640).open(live.url(f"{path}?lang={tag}"))
        tab.run("document.querySelectorAll('details').forEach((it) => { it.open = true; })")
        assert tab.run("return document.documentElement.lang") == tag
        assert tab.run("return document.documentElement.scrollWidth") <= 320, path
        assert tab.run(_CUT) == [], path
