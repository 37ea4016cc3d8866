"""Skitai as pip installs it, which is what a virtual environment and the container have."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from operator_session import CHECKOUT, Home

WHERE = """\
from skitai.server import ssgi
from skitaid.workers import run

app = ssgi.Application(__name__)


@app.route("/where")
def where(was):
    return run.__file__
"""


def install(tmp_path: Path) -> Path:
    """A directory with what pip installs; what Skitai needs itself is where the tests have it."""
    source, target = tmp_path / "source", tmp_path / "installed"
    unneeded = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")
    shutil.copytree(CHECKOUT, source, symlinks=True, ignore=unneeded)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    command = [*pip, "--target", str(target), str(source)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if "No matching distribution found for setuptools" in ran.stderr:
        pytest.skip("there is no package index where pip would find setuptools")
    assert ran.returncode == 0, ran.stderr
    return target


def test_what_pip_installs_needs_no_checkout(home: Home, tmp_path: Path) -> None:
    """The command, the samples for a home, and all floors under their one name."""
    installed = install(tmp_path)
    home.env["PYTHONPATH"] = str(installed)
    command = [str(installed / "bin" / "skitaid")]
    site = home.root / "mysite"
    ran = home.run_command([*command, "init", str(site)])
    assert ran.code == 0, ran.err
    ran = home.run_command([*command, "--etc", str(site), "check", "web"])
    assert ran.code == 0, ran.err
    server = home.serve("web", apps={"webapp.py": WHERE})
    assert server.get("/where").text == str(installed / "skitaid" / "workers" / "run.py")
    assert server.stop() == 0
