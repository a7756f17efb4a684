"""The stylesheet's own colours: every pair of ink and ground that it uses, in both themes."""

import re
from pathlib import Path

import pytest

import bridge.web
from bridge.web.pages import colours

CSS = (Path(bridge.web.__file__).parent / "static" / "site.css").read_text("utf-8")
THEMES = {
    "light": CSS[CSS.index(":root {") :],
    "preferred-dark": CSS[CSS.index(':root:not([data-theme="light"])') :],
    "chosen-dark": CSS[CSS.index('[data-theme="dark"] {') :],
}
TEXT = [
    ("ink", "ground"), ("soft", "ground"), ("accent", "ground"), ("off", "ground"),
    ("ink", "raised"), ("on-fill", "fill"), ("on-warm", "warm"),
]  # fmt: skip


def theme(name):
    block = THEMES[name].split("}", 1)[0]
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))


@pytest.mark.parametrize("name", THEMES)
@pytest.mark.parametrize(("ink", "ground"), TEXT)
def test_text_has_the_contrast_of_aa(name, ink, ground):
    found = theme(name)
    assert colours.contrast(found[ink], found[ground]) >= 4.5


@pytest.mark.parametrize("name", THEMES)
def test_the_edges_of_fields_can_be_seen(name):
    found = theme(name)
    assert colours.contrast(found["edge"], found["ground"]) >= 3


@pytest.mark.parametrize("name", THEMES)
def test_accents_are_measured_against_the_real_grounds(name):
    assert theme(name)["ground"] == (colours.LIGHT if name == "light" else colours.DARK)


def test_both_ways_to_the_dark_are_the_same():
    assert theme("preferred-dark") == theme("chosen-dark")
