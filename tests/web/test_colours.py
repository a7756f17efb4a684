"""The colours of the style sheet: the contrast of each pair that it uses, in both themes."""

import re
from pathlib import Path

import pytest

import bridge.web
from bridge.web.pages.accent import DARK, LIGHT, contrast

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
def test_text_has_the_contrast_that_wcag_aa_requires(name, ink, ground):
    values = theme(name)
    assert contrast(values[ink], values[ground]) >= 4.5


@pytest.mark.parametrize("name", THEMES)
def test_borders_of_fields_are_visible(name):
    values = theme(name)
    assert contrast(values["edge"], values["ground"]) >= 3


@pytest.mark.parametrize("name", THEMES)
def test_accents_are_computed_for_the_real_backgrounds(name):
    assert theme(name)["ground"] == (LIGHT if name == "light" else DARK)


def test_the_dark_theme_is_the_same_by_preference_and_by_choice():
    assert theme("preferred-dark") == theme("chosen-dark")
