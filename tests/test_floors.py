"""The law of floors: skitaid → supervisor → workers → skitai, imports point down only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ("skitaid", "skitaid.supervisor", "skitaid.workers", "skitai")  # from the top down
FOLDERS = {
    "skitaid": "skitaid",
    "supervisor": "skitaid.supervisor",
    "workers": "skitaid.workers",
    "skitai": "skitai",
}


def floor_of(module: str) -> int | None:
    """How far down a module is; None if it is not ours."""
    matches = [
        level
        for level, floor in enumerate(FLOORS)
        if module == floor or module.startswith(floor + ".")
    ]
    return max(matches, default=None)


def sources() -> Iterator[tuple[str, Path]]:
    """(module name, file) of everything that is installed."""
    for folder, package in FOLDERS.items():
        for file in sorted((ROOT / folder).rglob("*.py")):
            parts = file.relative_to(ROOT / folder).with_suffix("").parts
            is_linked = folder == "skitaid" and parts[0] in ("supervisor", "workers", "examples")
            if not is_linked:
                yield ".".join((package, *parts)).removesuffix(".__init__"), file


def imported(tree: ast.AST, module: str, is_package: bool) -> Iterator[tuple[str, int]]:
    """(full name of an imported module, line) for each import of a source."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parent, base]).rstrip(".")
            for alias in node.names:
                yield f"{base}.{alias.name}", node.lineno


def complaints(source: str, module: str, is_package: bool = False) -> list[str]:
    """What in a source breaks the law, one sentence each."""
    tree = ast.parse(source)
    mine = floor_of(module)
    assert mine is not None
    found = []
    for name, line in imported(tree, module, is_package):
        theirs = floor_of(name)
        if theirs is not None and theirs < mine:
            found.append(f"{module}:{line} imports {name}, which is a floor above")
        if name.split(".")[0] in ("supervisor", "workers"):
            found.append(f"{module}:{line} imports {name}, the name of another package")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found += [
                f"{module}:{inner.lineno} imports inside {node.name}()"
                for inner in ast.walk(node)
                if isinstance(inner, ast.Import | ast.ImportFrom)
            ]
    return found


def test_imports_point_down_only() -> None:
    """No module of the four floors imports from a floor above its own."""
    modules = list(sources())
    assert len(modules) > 80
    broken = [
        complaint
        for module, file in modules
        for complaint in complaints(file.read_text(), module, file.name == "__init__.py")
    ]
    assert broken == []


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("skitai.was", "import skitaid.workers.engine", "a floor above"),
        ("skitai.was", "from skitaid.workers import engine", "a floor above"),
        ("skitaid.workers.run", "from skitaid import supervisor", "a floor above"),
        ("skitaid.workers.run", "from ..supervisor.book import Book", "a floor above"),
        ("skitaid.supervisor.master", "from skitaid.conf import load_server", "a floor above"),
        ("skitaid.supervisor.master", "import workers.run", "the name of another package"),
        ("skitaid.cli", "def verb():\n    import click", "inside verb()"),
    ],
)
def test_the_check_bites(module: str, source: str, complaint: str) -> None:
    """Each way to break the law is seen."""
    assert len(complaints(source, module)) == 1
    assert complaint in complaints(source, module)[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("skitaid.cli", "from skitaid.workers import run"),
        ("skitaid.supervisor.spawn", "from skitaid.workers import control"),
        ("skitaid.workers.engine", "from .clients.fanout import Fanout\nfrom skitai import was"),
        ("skitai.calls", "from skitai.engine import Call\nimport asyncio"),
    ],
)
def test_what_points_down_is_fine(module: str, source: str) -> None:
    """The floors below, one's own floor, and other people's packages."""
    assert complaints(source, module) == []
