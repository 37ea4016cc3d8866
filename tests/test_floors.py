"""The law of floors: skitaid -> supervisor -> workers -> skitai, imports only ever point down.

Held by reading the imports, not by running them. `supervisor` and `workers` are the names of
other packages when they stand alone, so ours have one name only: `skitaid.supervisor` and
`skitaid.workers`. And an import stands at the top of its file, where all can see it; one that
waits until it is needed, because few need it and all would pay for it, says so on its line.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent

# From the ground up; the folder at the top of the tree, and the name it is imported by.
FLOORS = {
    "skitai": "skitai",
    "workers": "skitaid.workers",
    "supervisor": "skitaid.supervisor",
    "skitaid": "skitaid",
}
WITH_REASON = re.compile(r"# noqa: PLC0415  # \w+")
HEIGHTS = {name: height for height, name in enumerate(FLOORS.values())}


def floor_of(module: str) -> str | None:
    """The floor a module belongs to; None for everybody else's."""
    names = sorted(HEIGHTS, key=len, reverse=True)
    return next((n for n in names if module == n or module.startswith(n + ".")), None)


def complaints(module: str, is_package: bool, source: str) -> list[str]:
    """What the imports of a module break of the law."""
    own = floor_of(module)
    assert own is not None
    lines = source.splitlines()
    return [
        f"{module}:{node.lineno}: {complaint}"
        for node, is_inside in imports(ast.parse(source))
        for complaint in complaints_about(
            node,
            is_inside and not WITH_REASON.search(lines[node.lineno - 1]),
            module,
            is_package,
            own,
        )
    ]


def imports(
    node: ast.AST, is_inside: bool = False
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """All imports, and whether they stand in a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, is_inside
        is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from imports(child, is_inside or is_function)


def complaints_about(
    node: ast.Import | ast.ImportFrom, is_hidden: bool, module: str, is_package: bool, own: str
) -> Iterator[str]:
    if is_hidden:
        yield "an import inside a function, without a reason"
    for target in targets(node, module, is_package):
        if target.split(".")[0] in ("supervisor", "workers"):
            yield f"{target} is another package's name; write skitaid.{target}"
        floor = floor_of(target)
        if floor is not None and HEIGHTS[floor] > HEIGHTS[own]:
            yield f"{own} imports {target}, which is above it"


def targets(node: ast.Import | ast.ImportFrom, module: str, is_package: bool) -> list[str]:
    """The modules that an import names, in full. `from a import b` may name the module a.b."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        above = module.split(".") + (["__init__"] if is_package else [])
        base = ".".join([*above[: -node.level], *([base] if base else [])])
    if floor_of(base) is None:
        return [base]
    # The package itself is no floor of its members: `from skitaid import workers` goes down.
    return [f"{base}.{alias.name}" for alias in node.names]


def sources() -> dict[str, Path]:
    """All modules of all floors, by name."""
    found: dict[str, Path] = {}
    for folder, name in FLOORS.items():
        top = CHECKOUT / folder
        for directory, _, files in os.walk(top, followlinks=False):  # a link leads to a floor below
            for path in (Path(directory, file) for file in files if file.endswith(".py")):
                parts = path.relative_to(top).with_suffix("").parts
                found[".".join([name, *(part for part in parts if part != "__init__")])] = path
    return found


SOURCES = sources()


def test_all_floors_are_read() -> None:
    """Each has modules, and those of the floors below skitaid are not read twice."""
    floors = [floor_of(module) for module in SOURCES]

    assert {floor: floors.count(floor) > 5 for floor in HEIGHTS} == dict.fromkeys(HEIGHTS, True)
    assert len(set(SOURCES.values())) == len({path.resolve() for path in SOURCES.values()})


@pytest.mark.parametrize("module", SOURCES)
def test_law(module: str) -> None:
    """Each module of ours keeps it."""
    path = SOURCES[module]

    assert complaints(module, path.name == "__init__.py", path.read_text()) == []


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("skitai.was", "import skitaid.workers.run", "skitai imports skitaid.workers.run"),
        ("skitai.was", "from skitaid import workers", "skitai imports skitaid.workers"),
        ("skitai.was", "import os, skitaid", "skitai imports skitaid, which is above it"),
        ("skitaid.workers.run", "from skitaid.errors import X", "imports skitaid.errors.X"),
        ("skitaid.workers.run", "from ..supervisor import master", "imports skitaid.supervisor"),
        ("skitaid.workers.web.rpc", "from ...conf import load", "imports skitaid.conf.load"),
        ("skitaid.workers.web", "from ... import conf", "imports skitaid.conf"),
        ("skitaid.supervisor.master", "from skitaid.cli import main", "imports skitaid.cli.main"),
        ("skitaid.supervisor.master", "if TYPE_CHECKING:\n import skitaid.cli", "skitaid.cli"),
        ("skitaid.supervisor.master", "try:\n import skitaid.cli\nexcept: ...", "skitaid.cli"),
        ("skitaid.cli", "import workers.run", "write skitaid.workers.run"),
        ("skitaid.cli", "from supervisor import master", "write skitaid.supervisor"),
        ("skitaid.cli", "def f():\n import os", "an import inside a function"),
        ("skitaid.cli", "class A:\n async def f():\n  from . import x", "inside a function"),
        ("skitaid.cli", "def f():\n import os  # noqa: PLC0415", "without a reason"),
    ],
)
def test_break_of_the_law_is_found(module: str, source: str, complaint: str) -> None:
    """The check bites."""
    found = complaints(module, module == "skitaid.workers.web", source)

    assert len(found) == 1
    assert complaint in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("skitai.was", "from skitai.app import Application"),
        ("skitai.was", "import os, skitai, skitaiful, skitaid_else.workers"),
        ("skitaid.workers.run", "from skitai import app\nfrom . import life\nimport asyncio"),
        ("skitaid.workers.web.rpc", "from . import reply\nfrom ..handoff import Handoff"),
        ("skitaid.workers.web", "from . import reply\nfrom .. import handoff"),
        ("skitaid.supervisor.master", "from skitaid.workers import control\nimport skitai"),
        ("skitaid.cli", "from skitaid import supervisor, workers\nfrom .conf import load"),
        ("skitaid.cli", "class A:\n import os\n def f(self): ..."),
        ("skitaid.cli", "def f():\n import os  # noqa: PLC0415  # few need it"),
    ],
)
def test_what_the_law_allows(module: str, source: str) -> None:
    """Down, sideways, and to everybody else's."""
    assert complaints(module, module == "skitaid.workers.web", source) == []
