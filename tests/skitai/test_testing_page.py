"""The example of docs/testing.md runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "testing.md"


def test_example(tmp_path: Path) -> None:
    """Each of its files, written where its first line says; all of its tests pass."""
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        tmp_path.joinpath(block.partition("\n")[0].removeprefix("# ")).write_text(block)
    tests = tmp_path.joinpath("test_webapp.py").read_text().count("\ndef test_")

    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", "."],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{tests} passed" in ran.stdout
    assert tests == 7
