"""A new home: confs, a small app and its files, laid out so that they run as they are."""

from __future__ import annotations

import secrets
from importlib import resources
from pathlib import Path

from skitaid.errors import SkitaidError

_WEB_CONF = """\
; Serves app/webapp.py and the files of app/static to this machine only.
; All other keys are in ../servers-available/sample.conf.

[server]
ip = 127.0.0.1
port = 5000

; Encrypts sessions. Made for this home; keep it secret.
securekey = {securekey}

[routes:line]
/ = app/static
/ = app/webapp
"""

_FLEET_CONF_END = """\
var_path = var
"""

_WEBAPP = """\
from skitai.server import ssgi

app = ssgi.Application (__name__)
app.set_devel (True)  # tracebacks on error pages; not for production


@app.route ("/hello")
def hello (was, name = "World"):
    return "Hello %s" % name


@app.route ("/page")
def page (was, name = "World"):
    return was.app.get_template ("page.html").render (name = name)
"""

_INDEX = """\
<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <title>Skitai</title>
  <h1>It works</h1>
  <p>This is <code>app/static/index.html</code>.
  <p><a href="/hello">/hello</a> and <a href="/page?name=you">/page</a> are handlers of
    <code>app/webapp.py</code>.
</html>
"""

_PAGE = """\
<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <title>Skitai</title>
  <h1>Hello {{ name }}</h1>
</html>
"""

_EMPTY_DIRECTORIES = ("etc/skitaid/cert", "var")
_SECRET_FILES = frozenset({"etc/skitaid/servers-enabled/web.conf"})


def init(directory: Path) -> list[Path]:
    """Lay out a home in `directory`, which may exist; returns the files made.

    Raises `SkitaidError` if one of the files is there already, and then touches nothing.
    """
    files = {directory / name: content for name, content in _files().items()}
    in_the_way = [str(file) for file in files if file.exists() or file.is_symlink()]
    if in_the_way:
        raise SkitaidError(
            "init overwrites nothing, and these exist already;"
            " move them away or name another directory:\n  " + "\n  ".join(in_the_way)
        )
    try:
        for name in _EMPTY_DIRECTORIES:
            (directory / name).mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            _write(file, content, secret=str(file.relative_to(directory)) in _SECRET_FILES)
    except OSError as error:
        raise SkitaidError(f"{error.filename} cannot be made: {error.strerror}") from None
    return list(files)


def _files() -> dict[str, str]:
    """Every file of a home, by its path in it."""
    return {
        "etc/skitaid/skitaid.conf": _shipped("skitaid.conf") + _FLEET_CONF_END,
        "etc/skitaid/servers-enabled/web.conf": _WEB_CONF.format(
            securekey=secrets.token_urlsafe(32)
        ),
        "etc/skitaid/servers-available/sample.conf": _shipped("servers-available/sample.conf"),
        "etc/skitaid/cert/README": _shipped("cert/README"),
        "app/webapp.py": _WEBAPP,
        "app/static/index.html": _INDEX,
        "app/templates/page.html": _PAGE,
    }


def _shipped(name: str) -> str:
    """A file of the repository's etc/skitaid, which is installed with the package."""
    file = resources.files("skitaid") / "etc" / "skitaid" / name
    return file.read_text(encoding="utf-8")


def _write(file: Path, content: str, *, secret: bool) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("x", encoding="utf-8") as out:
        if secret:
            file.chmod(0o600)
        out.write(content)
