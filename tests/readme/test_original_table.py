"""The table of docs/original.md names what is there, and leaves nothing out."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
CHECKOUT = HERE.parent.parent
NAMES = re.findall(r"`([\w./:]+)`", (CHECKOUT / "docs/original.md").read_text())


def test_every_app_is_in_the_table() -> None:
    """And every app in the table is there."""
    apps = {file.name for file in (HERE / "apps").glob("*.py")}

    assert apps == {name for name in NAMES if re.fullmatch(r"(?!test_)\w+\.py", name)}


def test_every_test_is_in_the_table() -> None:
    """Tests of the examples, by name."""
    there = set()
    for file in HERE.glob("test_*.py"):
        if file.name != Path(__file__).name:
            there |= set(re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE))
    named = {name.rpartition("::")[2] for name in NAMES if "test_" in name} - {
        name for name in NAMES if name.endswith(".py")
    }

    assert named == there


def test_other_files_exist() -> None:
    """What the table refers to elsewhere."""
    paths = [name for name in NAMES if name.startswith("tests/") and name != "tests/readme/apps/"]

    assert [path for path in paths if not (CHECKOUT / path).exists()] == []
