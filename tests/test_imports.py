"""The import graph: layers point one way, and each library and TeamUp's names have one home."""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

LAYERS = ("values", "upstream", "store", "snapshots", "feeds", "ops", "web")
"""Each may import those before it, never those after it."""

VALUES = frozenset(
    "background bounded_cache clock config errors filter_params filters html_text instrumentation"
    " languages model network_errors param_values text_cleanup times".split()
)
"""The modules of the lowest layer."""

WIRING = frozenset("cli diagnostics local_run server services".split())
"""They put the layers together: no layer below web may import them."""

HOMES: Mapping[str, frozenset[str]] = {
    "icalendar": frozenset({"feeds.formats.ics"}),
    "requests": frozenset({"upstream", "ops.webhook"}),
    "urllib3": frozenset({"upstream", "ops.webhook"}),
    "redis": frozenset({"store.redis"}),
    "sqlite3": frozenset({"store.sqlite", "store.sqlite_backup"}),
    "selectolax": frozenset({"html_text"}),
    "itsdangerous": frozenset({"feeds.private"}),
    "babel": frozenset({"languages"}),
    "dotenv": frozenset({"config.variables"}),
    "prometheus_client": frozenset({"ops.metrics"}),
    "segno": frozenset({"web.pages.calendar_links"}),
    "granian": frozenset({"server"}),
    "a2wsgi": frozenset({"web.asgi"}),
    "flask": frozenset({"web", "cli", "sandbox"}),
    # wherever a worker keeps a bounded number of things in its memory
    "cachetools": frozenset(
        "bounded_cache snapshots.key_registry snapshots.local_cache"
        " snapshots.router snapshots.source_router store.memory".split()
    ),
}

VENDOR_NAMES = frozenset(
    "attending_count max_occupancy waiting_count customer_url provider_url customer_visibility"
    " is_draft offering_type video_url video_url_type zoom_user venue_type is_online"
    " physical_address street_secondary postal_code background_color dropin_price"
    " allows_dropins picture_url icalendar_links webcal_url field_errors non_field_errors"
    " is_appointment venue_room registrations_open_at registration_timelines"
    " overriden_registration_timelines small_session_attendances audience_type"
    " TeamUp-Provider-ID Teamup-Request-Mode course_session course_sessions".split()
)
"""Field names of TeamUp's that are neither a parameter of the bridge nor a word of the field."""

LIST_NAMES = frozenset({"course_sessions"})
"""Names of TeamUp's lists. The model has them too, because settings and filters use them."""

MAX_MODULES = 20
"""In one package, so that a reader finds the right module from the tree."""


class Tree:
    """Modules by name below ``bridge`` ("" is the package itself), parsed but not run."""

    def __init__(self, sources: Mapping[str, str], packages: frozenset[str]) -> None:
        self.packages = packages
        self.parsed = {name: ast.parse(source) for name, source in sources.items()}
        self.external: dict[str, set[str]] = {}
        self.imports: dict[str, set[str]] = {}
        self.imports_at_load: dict[str, set[str]] = {}
        for name, module in self.parsed.items():
            every = set(_imported(module))
            self.external[name] = {one.split(".")[0] for one in every} - {"bridge"}
            self.imports[name] = self._known(every) - {name}
            self.imports_at_load[name] = self._known(set(_imported(module, late=False))) - {name}

    def _known(self, imported: set[str]) -> set[str]:
        below = {one.removeprefix("bridge").removeprefix(".") for one in imported if _own(one)}
        return {one for one in below if one in self.parsed and one}

    def reached(self, start: str) -> set[str]:
        """Everything that *start* imports, directly or not."""
        found: set[str] = set()
        waiting = [start]
        while waiting:
            waiting.extend(new := self.imports[waiting.pop()] - found)
            found |= new
        return found

    def strings(self, name: str) -> Iterator[str]:
        """Every string of a module but its docstrings."""
        module = self.parsed[name]
        alone = {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr)}
        texts = (node for node in ast.walk(module) if isinstance(node, ast.Constant))
        yield from (
            text.value for text in texts if isinstance(text.value, str) and id(text) not in alone
        )


def _own(name: str) -> bool:
    return name.partition(".")[0] == "bridge"


def _imported(node: ast.AST, *, late: bool = True) -> Iterator[str]:
    """Dotted names that are imported; without *late*, only those imported at load time."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        # ruff's TID252 forbids relative imports
        yield str(node.module)
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for child in ast.iter_child_nodes(node):
        if late or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _imported(child, late=late)


def layer(name: str) -> str:
    """The layer, or the wiring module, that *name* belongs to."""
    top = name.partition(".")[0]
    return "values" if top in VALUES else top


def upward(tree: Tree) -> list[str]:
    """Imports, direct or not, from a layer to a later one or from below web to the wiring."""
    found = []
    for name in tree.parsed:
        here = layer(name)
        if here not in LAYERS:
            continue
        above = set(LAYERS[LAYERS.index(here) + 1 :])
        if here != "web":
            above |= WIRING
        found += [f"{name} -> {one}" for one in tree.reached(name) if layer(one) in above]
    return found


def across_the_sandbox(tree: Tree) -> list[str]:
    """Imports between the sandbox and the bridge; the command line may import it when it is run."""
    found = []
    for name in tree.parsed:
        late = layer(name) not in WIRING
        imported = tree.imports[name] if late else tree.imports_at_load[name]
        inside = layer(name) == "sandbox"
        found += [f"{name} -> {one}" for one in imported if (layer(one) == "sandbox") != inside]
    return found


def away_from_home(tree: Tree) -> list[str]:
    """Modules that import a library outside of its home."""
    return [
        f"{name}: {library}"
        for name in tree.parsed
        for library, homes in HOMES.items()
        if library in tree.external[name]
        and layer(name) != "sandbox"
        and not f"{name}.".startswith(tuple(f"{home}." for home in homes))
    ]


def vendor_names(tree: Tree) -> list[str]:
    """Uses of TeamUp's field names outside of upstream and the sandbox."""
    return [
        f"{name}: {text}"
        for name in tree.parsed
        if layer(name) not in ("upstream", "sandbox")
        for text in tree.strings(name)
        if not (name == "model" and text in LIST_NAMES)
        and VENDOR_NAMES & {part.strip() for part in text.replace(",", ".").split(".")}
    ]


def circles(tree: Tree) -> None:
    """Raises CycleError for modules that import each other, directly or not."""
    graph = {
        name: imported - tree.packages
        for name, imported in tree.imports.items()
        if name not in tree.packages
    }
    assert [*TopologicalSorter(graph).static_order()]


@pytest.fixture(scope="module")
def tree() -> Tree:
    sources, packages = {}, set()
    for path in sorted(ROOT.glob("bridge/**/*.py")):
        parts = path.relative_to(ROOT / "bridge").with_suffix("").parts
        name = ".".join(parts).removesuffix("__init__").removesuffix(".")
        sources[name] = path.read_text(encoding="utf-8")
        if parts[-1] == "__init__":
            packages.add(name)
    return Tree(sources, frozenset(packages))


def test_every_module_belongs_to_a_layer(tree: Tree) -> None:
    known = {*LAYERS, *WIRING, "sandbox", ""}
    assert {layer(name) for name in tree.parsed} == known


def test_imports_point_from_web_down_to_the_values(tree: Tree) -> None:
    assert "upstream.parser" in tree.reached("services")
    assert not upward(tree)


def test_no_imports_run_in_a_circle(tree: Tree) -> None:
    circles(tree)


def test_the_sandbox_and_the_bridge_do_not_import_each_other(tree: Tree) -> None:
    assert not across_the_sandbox(tree)
    script = "import sys, bridge.web; sys.exit('bridge.sandbox' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


def test_each_library_has_one_home(tree: Tree) -> None:
    assert not away_from_home(tree)
    assert all(library in set().union(*tree.external.values()) for library in HOMES)


def test_teamups_field_names_are_used_by_upstream_and_the_sandbox_alone(tree: Tree) -> None:
    assert not vendor_names(tree)


def test_no_two_modules_have_the_same_name(tree: Tree) -> None:
    names = Counter(name.rpartition(".")[2] for name in tree.parsed)
    assert [name for name, count in names.items() if count > 1] == []


def test_no_package_has_more_modules_than_a_reader_takes_in(tree: Tree) -> None:
    sizes = Counter(name.rpartition(".")[0] for name in tree.parsed if name not in tree.packages)
    assert {package: size for package, size in sizes.items() if size > MAX_MODULES} == {}


@pytest.mark.parametrize(
    ("check", "name", "source"),
    [
        (upward, "upstream.client", "from bridge.store import keys"),
        (upward, "upstream.client", "def late():\n    import bridge.store.keys"),
        (upward, "model", "from bridge.upstream.client import Client"),
        (upward, "store.keys", "from bridge import services"),
        (across_the_sandbox, "sandbox.api", "from bridge.model import Venue"),
        (across_the_sandbox, "store.keys", "from bridge.sandbox import api"),
        (away_from_home, "store.keys", "import redis"),
        (away_from_home, "upstream.client", "from flask.json import dumps"),
        (vendor_names, "store.keys", "row['attending_count']"),
        (vendor_names, "store.keys", "fields = 'venue,course.offering_type.category'"),
        (vendor_names, "store.keys", "path = 'course_sessions'"),
        (vendor_names, "model", "row['is_appointment']"),
    ],
)
def test_a_violation_is_found(check, name: str, source: str) -> None:  # type: ignore[no-untyped-def]
    names = " model upstream upstream.client store store.keys services sandbox sandbox.api"
    sound = dict.fromkeys(
        names.split(" "), '"""attending_count"""\ndef f(x):\n    return x.offering_type'
    )
    packages = frozenset({"", "upstream", "store", "sandbox"})
    assert not check(Tree(sound, packages))
    assert check(Tree({**sound, name: source}, packages))


def test_no_two_test_files_have_one_name() -> None:
    """pytest imports them under their names, and refuses the whole run."""
    files = [
        path
        for path in (ROOT / "tests").rglob("test_*.py")
        if "node_modules" not in path.parts and not (path.parent / "__init__.py").exists()
    ]
    counts = Counter(path.name for path in files)
    assert len(files) > 100
    assert {name for name, count in counts.items() if count > 1} == set()
