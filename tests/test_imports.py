"""The house's order: who may import whom, and what has one home only."""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

LAYERS = ("upstream", "cache", "feeds", "web")
"""Each may import what stands before it, never what stands after it."""

VALUES = frozenset(
    "model filters errors moments text zones clock config environment observer reach".split()
)
"""The modules at the bottom: they import each other and nothing else of the bridge."""

BESIDE = frozenset("cli doctor logs metrics numbers server services watchdog".split())
"""They put the layers together, so no layer but web may reach them."""

HOMES: Mapping[str, frozenset[str]] = {
    "icalendar": frozenset({"bridge.feeds.ics"}),
    "requests": frozenset({"bridge.upstream"}),
    "urllib3": frozenset({"bridge.upstream"}),
    "redis": frozenset({"bridge.cache.redis"}),
    "sqlite3": frozenset({"bridge.cache.sqlite"}),
    "selectolax": frozenset({"bridge.text"}),
    "itsdangerous": frozenset({"bridge.feeds.private"}),
    "babel": frozenset({"bridge.web.languages"}),
    "prometheus_client": frozenset({"bridge.metrics"}),
    "segno": frozenset({"bridge.web.subscribe"}),
    "granian": frozenset({"bridge.server"}),
    "a2wsgi": frozenset({"bridge.web.asgi"}),
    # wherever a worker keeps something in its memory up to a size
    "cachetools": frozenset(
        {
            "bridge.cache.asked",
            "bridge.cache.memory",
            "bridge.cache.plan",
            "bridge.cache.shelf",
            "bridge.cache.sized",
            "bridge.feeds.private",
        }
    ),
}

VENDORS = frozenset(
    (
        "attending_count max_occupancy waiting_count customer_url provider_url customer_visibility"
        " is_draft offering_type video_url video_url_type zoom_user venue_type is_online"
        " physical_address street_secondary postal_code background_color dropin_price"
        " allows_dropins picture_url icalendar_links webcal_url field_errors non_field_errors"
        " TeamUp-Provider-ID Teamup-Request-Mode course_session course_sessions"
    ).split()
)
"""Names of TeamUp's that are no parameter of the bridge's own and no word of the field."""


@dataclass(frozen=True)
class Module:
    """A module's source, read but not run."""

    name: str
    tree: ast.Module
    package: bool = False

    @property
    def place(self) -> str:
        """The folder below ``bridge/``, or the module's own name where it is in none."""
        return self.name.partition(".")[2].partition(".")[0]

    def imports(self, *, late: bool = True) -> Iterator[str]:
        """Every dotted name that is imported: also ``a.b`` of ``from a import b``, which may be
        a module; without *late*, only what is imported when the module is loaded."""
        for node in ast.walk(self.tree) if late else _outside_functions(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = self._base(node)
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names)
            elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
                yield from (one.value for one in node.args[:1] if _is_text(one))

    def _base(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        kept = parts[: len(parts) - node.level + self.package]
        return ".".join([*kept, *([node.module] if node.module else [])])

    def texts(self) -> Iterator[str]:
        """Every string, but not those that stand alone, which are docstrings."""
        alone = {
            id(node.value)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Expr) and _is_text(node.value)
        }
        for node in ast.walk(self.tree):
            if _is_text(node) and id(node) not in alone:
                yield node.value


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _outside_functions(child)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _called(node: ast.Call) -> str:
    function = node.func
    return getattr(function, "attr", "") or getattr(function, "id", "")


def read(folder: Path) -> dict[str, Module]:
    """The modules of ``bridge/`` in *folder*, by name."""
    modules = [_module(path, folder) for path in sorted(folder.glob("bridge/**/*.py"))]
    return {module.name: module for module in modules}


def _module(path: Path, folder: Path) -> Module:
    parts = path.relative_to(folder).with_suffix("").parts
    package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if package else parts)
    return Module(name, ast.parse(path.read_text(encoding="utf-8"), str(path)), package)


class House:
    """The modules, and what each reaches through any number of imports."""

    def __init__(self, modules: Mapping[str, Module]) -> None:
        self.modules = modules
        self._direct = {
            name: {one for said in module.imports() for one in self._run(said)} - {name}
            for name, module in modules.items()
        }

    def _run(self, imported: str) -> Iterator[str]:
        """The modules that run when a name is imported: its own, and the packages around it."""
        while imported:
            if imported in self.modules:
                yield imported
            imported = imported.rpartition(".")[0]

    def ways(self, start: str) -> dict[str, tuple[str, ...]]:
        """Each module that *start* reaches, with one way to it."""
        ways = {start: (start,)}
        waiting = [start]
        while waiting:
            here = waiting.pop(0)
            for there in sorted(self._direct[here] - set(ways)):
                ways[there] = (*ways[here], there)
                waiting.append(there)
        return ways


def upward(house: House) -> Iterator[str]:
    """Each import, direct or not, that points up, out of the values, or into the sandbox."""
    for name, module in house.modules.items():
        forbidden = _forbidden(module.place)
        for reached, way in house.ways(name).items():
            if house.modules[reached].place in forbidden:
                yield " -> ".join(way)


def _forbidden(place: str) -> frozenset[str]:
    if place in LAYERS:
        above = frozenset(LAYERS[LAYERS.index(place) + 1 :])
        return above if place == "web" else above | BESIDE | {"sandbox"}
    if place in VALUES:
        return frozenset(LAYERS) | BESIDE | {"sandbox"}
    return frozenset()


def out_of_the_sandbox(house: House) -> Iterator[str]:
    """Each import by the sandbox of anything else of the bridge; it stands for another machine."""
    for name, module in house.modules.items():
        if module.place == "sandbox":
            yield from (
                " -> ".join(way)
                for reached, way in house.ways(name).items()
                if house.modules[reached].place not in ("sandbox", "")
            )


def into_the_sandbox(house: House) -> Iterator[str]:
    """Each module that imports the sandbox when it is loaded or, in a layer, at any time."""
    for name, module in house.modules.items():
        late = module.place not in BESIDE
        if module.place != "sandbox" and any(
            f"{one}.".startswith("bridge.sandbox.") for one in module.imports(late=late)
        ):
            yield name


def flask_below_web(house: House) -> Iterator[str]:
    """Each module, but of web, the sandbox and the command line, that comes to know Flask."""
    knows = {
        name
        for name, module in house.modules.items()
        if any(one.split(".")[0] == "flask" for one in module.imports())
    }
    for name, module in house.modules.items():
        if name in knows and module.place not in ("web", "sandbox", "cli"):
            yield name
        if module.place in {*LAYERS[:-1], *VALUES}:
            yield from (
                " -> ".join(way) for reached, way in house.ways(name).items() if reached in knows
            )


def users(house: House, library: str) -> frozenset[str]:
    """The modules, but of the sandbox, that import *library*."""
    return frozenset(
        name
        for name, module in house.modules.items()
        if module.place != "sandbox"
        and any(one.split(".")[0] == library for one in module.imports())
    )


def away(house: House, library: str) -> set[str]:
    """The modules that import *library* and are not its home, nor in it."""
    homes = tuple(f"{home}." for home in HOMES[library])
    return {name for name in users(house, library) if not f"{name}.".startswith(homes)}


def vendors_names(house: House) -> Iterator[str]:
    """Each place outside upstream and the sandbox that knows a name of TeamUp's."""
    for name, module in house.modules.items():
        if module.place in ("upstream", "sandbox"):
            continue
        for text in module.texts():
            for part in text.replace(",", ".").split("."):
                if part.strip() in VENDORS:
                    yield f"{name}: {text!r}"


@pytest.fixture(scope="module")
def house() -> House:
    return House(read(ROOT))


def test_the_modules_are_found(house: House) -> None:
    assert {"bridge", "bridge.model", "bridge.web", "bridge.upstream.parser"} <= set(house.modules)
    assert "bridge.upstream.parser" in house.ways("bridge.services")
    assert "bridge.model" in house.ways("bridge.web")


def test_imports_point_from_web_to_feeds_to_cache_to_upstream_to_the_model(house: House) -> None:
    assert not list(upward(house))


def test_the_sandbox_stands_alone(house: House) -> None:
    assert not list(out_of_the_sandbox(house))
    assert not list(into_the_sandbox(house))


def test_the_application_loads_nothing_of_the_sandbox() -> None:
    script = "import sys, bridge.web; sys.exit('bridge.sandbox' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


def test_nothing_below_web_knows_flask(house: House) -> None:
    assert not list(flask_below_web(house))


@pytest.mark.parametrize("library", HOMES)
def test_a_library_has_one_home(house: House, library: str) -> None:
    assert not away(house, library)


def test_the_homes_of_cachetools_are_known_one_by_one(house: House) -> None:
    assert users(house, "cachetools") == HOMES["cachetools"] & set(house.modules)


def test_teamups_names_are_known_to_upstream_and_the_sandbox_alone(house: House) -> None:
    assert not list(vendors_names(house))


# The checks themselves: each finds what it is there for

SOUND = {
    "": "",
    "model": "from datetime import datetime",
    "errors": "",
    "upstream": "",
    "upstream.client": "import requests\nfrom bridge.model import X\nkey = 'video_url'",
    "cache": "",
    "cache.plan": "from bridge.upstream.client import Client",
    "cache.redis": "import redis",
    "feeds": "",
    "feeds.ics": "import icalendar\nfrom bridge.cache import plan",
    "web": "from bridge.web.application import create_app",
    "web.application": "import flask\nfrom bridge import cli, services",
    "services": "from bridge.feeds import ics\nfrom bridge.cache.plan import Plan",
    "cli": "import flask\ndef sandbox():\n    from bridge.sandbox import server",
    "sandbox": "",
    "sandbox.server": "import flask\nfrom bridge.sandbox import records",
    "sandbox.records": "'attending_count'",
}
PACKAGES = {"", "upstream", "cache", "feeds", "web", "sandbox"}


def made_up(**changed: str) -> House:
    """A sound house but for these modules; ``__`` stands for the dot."""
    sources = SOUND | {name.replace("__", "."): source for name, source in changed.items()}
    modules = {}
    for place, source in sources.items():
        name = f"bridge.{place}".rstrip(".")
        modules[name] = Module(name, ast.parse(source), place in PACKAGES)
    return House(modules)


def test_a_sound_house_passes() -> None:
    house = made_up()
    assert not list(upward(house))
    assert not list(out_of_the_sandbox(house))
    assert not list(into_the_sandbox(house))
    assert not list(flask_below_web(house))
    assert not list(vendors_names(house))
    assert not any(away(house, library) for library in HOMES)


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("upstream__client", "import bridge.cache.plan"),
        ("upstream__client", "import bridge.cache.plan as plan"),
        ("upstream__client", "from bridge import cache"),
        ("upstream__client", "from bridge.cache import plan"),
        ("upstream__client", "from bridge.cache.plan import Plan"),
        ("upstream__client", "from .. import cache"),
        ("upstream__client", "from ..cache.plan import Plan"),
        ("upstream", "from ..cache import plan"),
        ("upstream__client", "def late():\n    from bridge.cache import plan"),
        ("upstream__client", "if TYPE_CHECKING:\n    from bridge.cache.plan import Plan"),
        ("upstream__client", "importlib.import_module('bridge.cache.plan')"),
        ("upstream__client", "__import__('bridge.cache')"),
        ("upstream__client", "from bridge import services"),
        ("upstream__client", "from bridge.sandbox import server"),
        ("cache__plan", "from bridge.feeds import ics"),
        ("cache__plan", "from bridge.web import create_app"),
        ("cache", "from bridge import feeds"),
        ("feeds__ics", "from bridge.web import create_app"),
        ("feeds__ics", "from bridge import cli"),
        ("model", "from bridge.upstream import client"),
        ("errors", "from bridge.cache.plan import Plan"),
    ],
)
def test_an_import_that_points_up_is_found(place: str, source: str) -> None:
    found = list(upward(made_up(**{place: source})))
    name = f"bridge.{place.replace('__', '.')}"
    assert any(way.startswith(f"{name} -> ") for way in found)


def test_an_import_that_points_up_by_way_of_another_module_is_found() -> None:
    house = made_up(
        upstream__client="from bridge import alerts",
        alerts="from bridge.cache import plan",
        cache__plan="",
    )
    assert "bridge.upstream.client -> bridge.alerts -> bridge.cache" in list(upward(house))


def test_a_module_beside_the_layers_may_import_any_of_them() -> None:
    assert not list(upward(made_up(alerts="from bridge.cache.plan import Plan")))


@pytest.mark.parametrize(
    "source", ["from bridge.model import X", "from bridge import model", "from ..model import X"]
)
def test_an_import_out_of_the_sandbox_is_found(source: str) -> None:
    assert list(out_of_the_sandbox(made_up(sandbox__server=source)))


@pytest.mark.parametrize("place", ["web__application", "feeds__ics", "model", "cli"])
@pytest.mark.parametrize("source", ["import bridge.sandbox", "from bridge import sandbox"])
def test_an_import_of_the_sandbox_is_found(place: str, source: str) -> None:
    assert list(into_the_sandbox(made_up(**{place: source})))


@pytest.mark.parametrize("place", ["feeds__ics", "cache__plan", "upstream", "model", "services"])
@pytest.mark.parametrize(
    "source", ["import flask", "from flask import Flask", "def f():\n    import flask.json"]
)
def test_flask_below_web_is_found(place: str, source: str) -> None:
    name = f"bridge.{place.replace('__', '.')}"
    assert name in list(flask_below_web(made_up(**{place: source})))


def test_flask_by_way_of_another_module_is_found() -> None:
    house = made_up(feeds__ics="from bridge import pages", pages="import flask")
    assert "bridge.feeds.ics -> bridge.pages" in list(flask_below_web(house))


@pytest.mark.parametrize("library", HOMES)
def test_a_library_outside_its_home_is_found(library: str) -> None:
    for source in (f"import {library}", f"from {library}.deep import x", f"import {library} as y"):
        assert away(made_up(web__application=source), library) == {"bridge.web.application"}
    # the bridge's own module of that name is not the library
    assert not away(made_up(services=f"from bridge.cache import {library}"), library)


@pytest.mark.parametrize(
    "source",
    [
        "row['attending_count']",
        "row.get('max_occupancy')",
        "{'customer_url': None}",
        "match row:\n    case {'video_url': url}: pass",
        "f'{x}offering_type'",
        "fields = 'venue,course.offering_type.category'",
    ],
)
def test_a_name_of_teamups_is_found(source: str) -> None:
    assert list(vendors_names(made_up(feeds__ics=source)))


def test_a_word_in_a_docstring_or_an_attribute_is_no_name_of_teamups() -> None:
    source = '"""video_url"""\ndef f(x):\n    "offering_type"\n    return x.offering_type'
    assert not list(vendors_names(made_up(feeds__ics=source)))


def test_no_imports_run_in_a_circle(house: House) -> None:
    graph = {
        name: {
            reached
            for reached in module.imports()
            if reached in house.modules and not house.modules[reached].package and reached != name
        }
        for name, module in house.modules.items()
        if not module.package
    }
    # it raises CycleError
    assert [*TopologicalSorter(graph).static_order()]
