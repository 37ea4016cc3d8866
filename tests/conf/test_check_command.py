"""`skitaid check` and `skitaid init`, as a user types them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from skitaid.cli import main


def skitaid(*arguments: str, env: dict[str, str] | None = None) -> Result:
    variables = {"SKITAID_ETC": None, "SKITAID_VAR": None, **(env or {})}
    return CliRunner().invoke(main, arguments, prog_name="skitaid", env=variables)


@pytest.fixture
def home(tmp_path: Path) -> str:
    """A home as `skitaid init` makes it."""
    directory = str(tmp_path / "home")
    assert skitaid("init", directory).exit_code == 0
    return directory


def web_conf(home: str) -> Path:
    return Path(home) / "etc/skitaid/servers-enabled/web.conf"


# what goes wrong


def test_mistakes_go_to_stderr_with_exit_code_2(home: str) -> None:
    """All of them, one line each, and nothing on stdout."""
    web_conf(home).write_text("[server]\nthread = 1\n[routes:line]\n/ = nowhere\n")
    result = skitaid("--etc", home, "check", "web")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        "web.conf:2: thread: unknown key in [server]; did you mean threads?",
        f"web.conf:4: /: {home}/nowhere is neither a directory nor a module:"
        f" {home}/nowhere.py does not exist",
    ]


def test_a_directory_of_code_that_would_be_served_as_files(home: str) -> None:
    """A slip of who means an app: the conf is good, and its line is warned of."""
    web_conf(home).write_text("[server]\nport = 5000\n[routes:line]\n/ = app\n")
    result = skitaid("--etc", home, "check", "web")
    assert result.exit_code == 0
    assert "web.conf: warning: web.conf:4: / = " in result.stdout
    assert "a route to an app names its module" in result.stdout


def test_unknown_conf(home: str) -> None:
    """It is told where it was looked for."""
    result = skitaid("--etc", home, "check", "wep")
    assert result.exit_code == 2
    assert result.stderr.startswith("there is no conf wep; looked at ")
    assert result.stderr.endswith("did you mean web?\n")


def test_unknown_etc(tmp_path: Path) -> None:
    """A wrong --etc is told by every verb that needs it."""
    result = skitaid("--etc", str(tmp_path / "no"), "check", "web")
    assert result.exit_code == 2
    assert "skitaid init" in result.stderr


def test_init_twice(home: str) -> None:
    """The second one refuses with exit code 1."""
    result = skitaid("init", home)
    assert result.exit_code == 1
    assert f"  {web_conf(home)}\n" in result.stderr


def test_a_full_disk_is_told_without_a_traceback(home: str) -> None:
    """As a program meets it that writes what it hears to a file."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "skitaid.cli", "--etc", home, "check", "web"],
            cwd=Path(__file__).parents[2],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "what there is to tell cannot be written: no space left on device\n"


def test_as_a_process(tmp_path: Path) -> None:
    """The module can be run, and a mistake ends without a traceback."""
    (tmp_path / "web.conf").write_text("[server]\nport = x\n[routes:line]\n/ = .\n")
    command = [sys.executable, "-m", "skitaid.cli", "check", str(tmp_path / "web.conf")]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "web.conf:2: port: x is not a port; ports are 1 to 65535\n"


# what goes well


def test_good_conf(home: str) -> None:
    """One line tells what would be served, and nothing is started or made."""
    result = skitaid("--etc", home, "check", "web")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        f"web.conf: ok: http://127.0.0.1:5000 would serve"
        f" / = {home}/app/static/, / = {home}/app/webapp.py\n"
    )
    assert list((Path(home) / "var").iterdir()) == []


def test_clusters_of_a_good_conf(home: str) -> None:
    """They are listed with their members counted, without passwords."""
    with web_conf(home).open("a") as conf:
        conf.write("/far = @web\n[@web]\nmembers = a, b\n")
        conf.write("[@db]\ntype = postgresql\nmembers = h/db/user/hunter2\n")
    result = skitaid("--etc", home, "check", "web")
    (summary,) = result.stdout.splitlines()
    assert summary.endswith(
        ", /far = @web; clusters @web (2 http members), @db (1 postgresql member,"
        " at most 32 connections to each server, 64 while workers change)"
    )
    assert "hunter2" not in result.stdout


@pytest.mark.parametrize(("ip", "shown"), [("", "*"), ("::1", "[::1]"), ("localhost",) * 2])
def test_address_of_a_good_conf(home: str, ip: str, shown: str) -> None:
    """All interfaces are a star, IPv6 is in brackets."""
    conf = web_conf(home)
    conf.write_text(conf.read_text().replace("ip = 127.0.0.1", f"ip = {ip}"))
    result = skitaid("--etc", home, "check", "web")
    assert f"http://{shown}:5000 would" in result.stdout


def test_directories_by_environment(home: str) -> None:
    """SKITAID_ETC stands for --etc."""
    assert skitaid("check", "web", env={"SKITAID_ETC": home}).exit_code == 0


def test_init_says_what_to_do_next(tmp_path: Path) -> None:
    """The commands can be copied, whatever the directory is called."""
    result = skitaid("init", str(tmp_path / "my home"))
    assert f"\n  skitaid --etc '{tmp_path}/my home/etc/skitaid' check web\n" in result.stdout


def test_version() -> None:
    """It is one line, also from a checkout that is not installed."""
    result = skitaid("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("skitaid")
