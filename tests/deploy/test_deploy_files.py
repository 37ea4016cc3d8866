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


@pytest.mark.parametrize("unit", ["skitaid.service", "skitaid@.service"])
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_units_have_no_mistakes(tmp_path: Path, unit: str) -> None:
    """With the program at hand that they run."""
    daemon = tmp_path / "skitaid"
    daemon.write_text(f"#!{sys.executable}\n")
    daemon.chmod(0o755)
    text = (DEPLOY / "systemd" / unit).read_text()
    copy = tmp_path / unit
    copy.write_text(text.replace(DAEMON, str(daemon)))
    assert check("systemd-analyze", "verify", "--man=no", str(copy)) == ""


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_init_script_is_a_script_of_any_shell(shell: str) -> None:
    """The variables that may be set are those that the default file explains."""
    script = DEPLOY / "debian" / "skitaid.init"
    check(shell, "-n", str(script))
    names = re.findall(r"^([A-Z_]+)=", script.read_text(), re.MULTILINE)
    default = (DEPLOY / "debian" / "skitaid.default").read_text()
    explained = re.findall(r"^#([A-Z_]+)=", default, re.MULTILINE)
    assert set(explained) == set(names) - {"PATH", "NAME", "DESC"}


@pytest.mark.skipif(shutil.which("logrotate") is None, reason="there is no logrotate")
def test_logrotate_understands_its_file(tmp_path: Path) -> None:
    """A dry run, with a state of its own."""
    config = DEPLOY / "logrotate" / "skitaid"
    said = check("logrotate", "--debug", "--state", str(tmp_path / "state"), str(config))
    assert "error" not in said


@pytest.mark.skipif(shutil.which("nginx") is None, reason="there is no nginx")
def test_nginx_understands_its_files(tmp_path: Path) -> None:
    """Both sites together."""
    sites = "".join(f"include {file};" for file in sorted((DEPLOY / "nginx").glob("*.conf")))
    whole = tmp_path / "nginx.conf"
    whole.write_text(f"pid {tmp_path}/pid; events {{}} http {{ {sites} }}")
    check("nginx", "-t", "-q", "-p", str(tmp_path), "-c", str(whole))


def test_every_file_is_explained() -> None:
    """docs/deploy.md names each of them."""
    page = (CHECKOUT / "docs" / "deploy.md").read_text()
    files = [path for path in DEPLOY.rglob("*") if path.is_file()]
    assert [str(p) for p in files if str(p.relative_to(CHECKOUT)) not in page] == []
