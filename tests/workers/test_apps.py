"""Apps are loaded from their files, before a worker serves."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from skitaid.workers.apps import AppFailed, load, load_all
from skitaid.workers.settings import AppRoute, ClusterRoute, StaticRoute

APP = "from skitai.server import ssgi\napp = ssgi.Application(__name__)\n"


@pytest.fixture(autouse=True)
def no_traces() -> Iterator[None]:
    """Modules and paths are the process's: they are as before when a test is over."""
    modules, path = set(sys.modules), list(sys.path)
    yield
    for name in set(sys.modules) - modules:
        del sys.modules[name]
    sys.path[:] = path


def route(directory: Path, text: str, name: str = "webapp.py", prefix: str = "/") -> AppRoute:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(text)
    return AppRoute(prefix, str(directory / name), "web.conf:7")


def test_load(tmp_path: Path) -> None:
    """The app knows its module, which finds those beside it."""
    (tmp_path / "beside_it.py").write_text("NAME = '/from beside'")
    more = "import beside_it\napp.route(beside_it.NAME)(lambda was: 1)\n"
    app = load(route(tmp_path, APP + more))

    assert app.import_name == "webapp"
    assert [each.rule for each in app.router.routes()] == ["/from beside"]


def test_same_file_name_in_two_directories(tmp_path: Path) -> None:
    """They are two apps, and neither takes the name of a module that is there."""
    one = load(route(tmp_path / "one", APP))
    two = load(route(tmp_path / "two", APP))
    three = load(route(tmp_path / "three", APP, "json.py"))

    assert len({id(one), id(two), id(three)}) == 3
    assert len({one.import_name, two.import_name, three.import_name, "json"}) == 4


def test_app_of_several_routes_is_loaded_once(tmp_path: Path) -> None:
    """Other kinds of routes have none."""
    first = route(tmp_path, APP)
    second = AppRoute("/test", first.file, "web.conf:8")
    others = (StaticRoute("/", "/srv", "web.conf:9"), ClusterRoute("/x", "c", "web.conf:10"))
    apps = load_all([first, second, *others])

    assert list(apps) == [first.file]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 // 0\n", ["does not import:", "webapp.py", "line 1", "ZeroDivisionError"]),
        ("raise SystemExit(3)\n", ["does not import:", "SystemExit: 3"]),
        ("x = (\n", ["does not import:", "SyntaxError"]),
        ("import no_such_module\n", ["does not import:", "No module named 'no_such_module'"]),
        (APP + "app.route('x')(lambda was: 1)", ["does not import:", 'a rule starts with "/"']),
        ("pass\n", ["has no global named app; write app = ssgi.Application(__name__)"]),
        ("app = 5\n", ["has an app that is 5; write app = ssgi.Application(__name__)"]),
    ],
)
def test_app_that_cannot_be_loaded(tmp_path: Path, text: str, words: list[str]) -> None:
    """The place in the conf, the file, and the traceback from the app's own first line on."""
    with pytest.raises(AppFailed) as raised:
        load(route(tmp_path, text))
    message = str(raised.value)

    assert message.startswith(f"web.conf:7: {tmp_path}/webapp.py ")
    for word in words:
        assert word in message
    assert "workers/apps.py" not in message
    assert "webapp" not in sys.modules or text in ("pass\n", "app = 5\n")
