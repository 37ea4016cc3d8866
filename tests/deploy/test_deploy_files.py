"""The files of deploy/ as the programs that read them see them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from operator_session import CHECKOUT

DEPLOY = CHECKOUT / "deploy"
DAEMON = "/usr/local/bin/skitaid"


def check(*command: str) -> str:
    """The output of a program that must succeed."""
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


@pytest.mark.parametrize("unit", ["skitaid.service", "skitaid@.service", "skitaid@.socket"])
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_units_have_no_mistakes(tmp_path: Path, unit: str) -> None:
    """With the program at hand that they run."""
    daemon = tmp_path / "skitaid"
    daemon.write_text(f"#!{sys.executable}\n")
    daemon.chmod(0o755)
    for file in (DEPLOY / "systemd").iterdir():
        (tmp_path / file.name).write_text(file.read_text().replace(DAEMON, str(daemon)))
    instance = tmp_path / unit.replace("@", "@web")
    assert check("systemd-analyze", "verify", "--man=no", str(instance)) == ""


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_init_script_is_a_script_of_any_shell(shell: str) -> None:
    """The variables that may be set are those that the default file explains."""
    script = DEPLOY / "debian" / "skitaid.init"
    check(shell, "-n", str(script))
    names = re.findall(r"^([A-Z_]+)=", script.read_text(), re.MULTILINE)
    default = (DEPLOY / "debian" / "skitaid.default").read_text()
    explained = re.findall(r"^#([A-Z_]+)=", default, re.MULTILINE)
    assert set(explained) == set(names) - {"PATH", "NAME", "DESC"}


def test_every_file_is_explained() -> None:
    """docs/deploy.md names each of them."""
    page = (CHECKOUT / "docs" / "deploy.md").read_text()
    files = [path for path in DEPLOY.rglob("*") if path.is_file()]
    assert [str(p) for p in files if str(p.relative_to(CHECKOUT)) not in page] == []
