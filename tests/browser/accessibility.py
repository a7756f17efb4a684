"""Accessibility checks of pages with axe-core."""

from functools import cache
from pathlib import Path

from thorough import THOROUGH

from browser.chromium import Chromium

# Parts that have the same form as parts before are left out: the same elements, classes, styles,
# roles and states, with the same attributes and labels, in the same ancestors and style sheets.
# Most of the time is spent on the contrast of each text.
_RUN = """
const [known, done] = arguments;
const seen = new Set(known || []);
const repeated = [];
const kept = "class|style|type|role|tabindex|data-theme|aria-(?!label|describedby|controls)[a-z]+";
const value = new RegExp(` (?!(?:${kept})=)([a-z-]+)="[^"]+"`, "g");
const form = (html) => html.replace(/>\\s*[^<\\s][^<]*/g, ">x").replace(value, " $1");
const state = (part) => [part, ...part.querySelectorAll("input, button, select, textarea")].map(
  (control) => [control.matches(":checked"), control.matches(":disabled"), control.labels?.length]
).join();
const hash = (text) => {
  let value = 0;
  for (let n = 0; n < text.length; n++) value = (value * 31 + text.charCodeAt(n)) % 4398046511093;
  return value;
};
const walk = (parent, ancestors) => {
  for (const part of parent.children) {
    const own = ancestors + form(part.cloneNode(false).outerHTML);
    const key = hash(own + form(part.outerHTML) + state(part));
    if (seen.has(key)) repeated.push(part);
    else walk(part, own);
    seen.add(key);
  }
};
const sheets = [...document.querySelectorAll("link[rel=stylesheet]")].map(
  (link) => link.getAttribute("href"));
const around = [document.documentElement, document.body].map((part) => part.cloneNode(false));
if (known) walk(document.body, sheets + around.map((part) => form(part.outerHTML)));
// This rule of WCAG 2.2 is off by default. Without details of correct elements it is faster.
axe.run({include: [document], exclude: repeated}, {
  rules: {"target-size": {enabled: true}}, resultTypes: ["violations"], preload: false,
}).then((result) => done([result.violations, [...seen]]));
"""


@cache
def _axe(packages: Path) -> str:
    return (packages / "axe-core" / "axe.min.js").read_text()


def violations(tab: Chromium, packages: Path) -> list[str]:
    """The accessibility violations that axe-core reports.

    A part of a page is checked once in each emulation, unless tests are thorough: neither its
    repetitions on the page nor the same part of other pages.
    """
    if tab.run("return typeof axe === 'undefined'"):
        tab.run(_axe(packages))
    known = None if THOROUGH else sorted(tab.checked)
    found, checked = tab.driver.execute_async_script(_RUN, known)
    tab.checked.update(checked)
    return [
        f"{violation['id']}: {node['html']} {node['failureSummary']}"
        for violation in found
        for node in violation["nodes"]
    ]
