"""Development mode over a real server: save a file, ask, and see what the app is now."""

from __future__ import annotations

import json
import os
import xmlrpc.client
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from operator_session import Home
from served import Client, Server
from waits import Gate, wait_until

from skitaid.workers.reloading import imported

HEAD = """\
from skitai.server import ssgi

app = ssgi.Application(__name__)
app.set_devel(True)

"""
ONE = HEAD + '@app.route("/")\ndef index(was):\n    return "one"\n'
TWO = ONE.replace('"one"', '"two"')
BROKEN = ONE + 'html = ("<b>"\n'
PACKAGE = """\
from skitai.server import ssgi

package = ssgi.Package()
"""


def save(home: Home, name: str, text: str) -> Path:
    """A file as the next moment's save leaves it."""
    path = home.app / name
    before = path.stat().st_mtime_ns if path.exists() else None
    home.write_app(name, text)
    if before is not None:  # within the second, which is less than Python itself tells apart
        os.utime(path, ns=(before + 1000, before + 1000))
    return path


def times_told(server: Server, text: str, at_least: int = 1) -> int:
    """How often the log says it, which comes after the answer."""
    return server.wait_log(text, at_least).count(text)


def get(server: Client, path: str = "/") -> str:
    reply = server.get(path)
    assert reply.status == 200, reply.text
    return reply.text


# What is seen


def test_next_request_is_answered_by_what_was_saved(home: Home) -> None:
    """Though the file is as long as before and was written in the same second."""
    server = home.serve(apps={"webapp.py": ONE})
    assert get(server) == "one"

    path = save(home, "webapp.py", TWO)

    assert get(server) == "two"
    assert get(server) == "two"
    assert times_told(server, f"{path}: imported anew after a change") == 1


COUNTS = """
import os

stat, looks = os.stat, []


def counting(path, *args, **kwargs):
    if str(path).endswith(".py"):  # not the logs, which their own thread looks at
        looks.append(path)
    return stat(path, *args, **kwargs)


os.stat = counting


@app.route("/looks")
def count(was):
    return str(len(looks))
"""


@pytest.mark.parametrize("is_devel", [True, False])
def test_files_are_looked_at_in_development_mode_only(home: Home, is_devel: bool) -> None:
    """Without it no request looks at any file, and nothing is seen."""
    app = (ONE + COUNTS).replace("True", str(is_devel))
    server = home.serve(apps={"webapp.py": app})
    before = int(get(server, "/looks"))
    for _ in range(5):
        get(server, "/looks")
    looks = int(get(server, "/looks")) - before
    save(home, "webapp.py", app.replace('"one"', '"two"'))

    assert looks == (6 if is_devel else 0)  # at the one file there is
    assert get(server) == ("two" if is_devel else "one")


def test_other_apps_are_left_alone(home: Home) -> None:
    """Those that are not in development mode are never imported anew, whatever is beside them."""
    stays = ONE.replace("True", "False")
    apps = {"webapp.py": ONE, "stays.py": stays}
    server = home.serve(apps=apps, routes="/ = {app}/webapp\n/stays = {app}/stays")
    save(home, "stays.py", stays.replace('"one"', '"two"'))
    save(home, "webapp.py", TWO)

    assert (get(server), get(server, "/stays")) == ("two", "one")


def test_development_mode_can_be_switched_off_by_a_save(home: Home) -> None:
    """It is the last change that is seen."""
    server = home.serve(apps={"webapp.py": ONE})
    save(home, "webapp.py", TWO.replace("True", "False"))
    assert get(server) == "two"
    save(home, "webapp.py", ONE)
    assert get(server) == "two"


def test_each_worker_reloads_at_its_next_request(home: Home) -> None:
    """No worker answers from what was there before the save."""
    app = ONE.replace('return "one"', 'return f"one {os.getpid()}"') + "import os\n"
    server = home.serve(apps={"webapp.py": app}, processes=2)

    def all_say(word: str) -> None:
        pids = set()

        def all_have_said() -> bool:
            said, pid = get(server).split()
            assert said == word
            pids.add(pid)
            return len(pids) == 2

        wait_until(all_have_said, f"both workers say {word}")

    all_say("one")
    save(home, "webapp.py", app.replace('"one', '"two'))
    all_say("two")


def test_template_that_was_saved_is_used(home: Home) -> None:
    """Without the app being imported anew."""
    app = HEAD + '@app.route("/")\ndef index(was):\n    return was.render("a.html")\n'
    server = home.serve(apps={"webapp.py": app, "templates/a.html": "one"})
    assert get(server) == "one"
    save(home, "templates/a.html", "two")
    assert get(server) == "two"
    assert server.stop() == 0
    assert "imported anew" not in server.log()


def test_request_that_has_begun_finishes_on_its_code(home: Home, tmp_path: Path) -> None:
    """Its module's globals are the old ones too."""
    gate = Gate(tmp_path / "gate")
    app = gate.app().replace('return "through"', "return word()")
    app = app.replace("(__name__)", "(__name__)\napp.set_devel(True)")
    app += '\n\ndef word():\n    return "one"\n' + ONE[len(HEAD) :]
    server = home.serve(apps={"webapp.py": app})
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(get, server, "/gate")
        gate.wait_came()
        save(home, "webapp.py", app.replace('"one"', '"two"'))
        fresh = get(server)
        gate.open()
        begun = slow.result()
    gate.close()

    assert (begun, fresh) == ("one", "two")


# Modules beside the app

CHAIN = {
    "webapp.py": HEAD + "import outer\nimport apart\n\n"
    '@app.route("/")\ndef index(was):\n    apart.count += 1\n'
    '    return f"{outer.word()} {apart.count}"\n',
    "outer.py": "from inner.deep import WORD\n\n\ndef word():\n    return WORD\n",
    "inner/__init__.py": "",
    "inner/deep.py": 'WORD = "one"\n',
    "apart.py": "count = 0\n",
}


def test_module_is_imported_anew_with_all_that_import_it(home: Home) -> None:
    """And the others keep what they hold."""
    server = home.serve(apps=CHAIN)
    assert get(server) == "one 1"
    save(home, "inner/deep.py", 'WORD = "two"\n')
    assert get(server) == "two 2"
    save(home, "apart.py", "count = 5\n")
    assert get(server) == "two 6"


def test_module_that_a_handler_imports(home: Home) -> None:
    """The first change after its import is seen, too."""
    app = HEAD + '@app.route("/")\ndef index(was):\n    import late\n\n    return late.WORD\n'
    server = home.serve(apps={"webapp.py": app, "late.py": 'WORD = "one"\n'})
    assert get(server) == "one"
    save(home, "late.py", 'WORD = "two"\n')
    assert get(server) == "two"


def test_module_that_is_gone_and_not_wanted_any_more(home: Home) -> None:
    """It is no longer looked at."""
    apps = {"webapp.py": ONE + "import helper\n", "helper.py": ""}
    server = home.serve(apps=apps)
    (home.app / "helper.py").unlink()
    save(home, "webapp.py", TWO)

    assert (get(server), get(server)) == ("two", "two")
    assert times_told(server, "imported anew") == 1


def test_libraries_below_the_app_are_not_its_own(home: Home) -> None:
    """As in a virtual environment."""
    library = ".venv/lib/site-packages/library.py"
    path = "import sys\nsys.path.append(__file__.replace('webapp.py', '.venv/lib/site-packages'))\n"
    apps = {"webapp.py": path + ONE + "import library\n", library: ""}
    server = home.serve(apps=apps)
    save(home, library, "raise SystemExit\n")

    assert get(server) == "one"


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import a, b.c as d\n", {"a", "b"}),
        ("from a.b import c\nfrom . import e\nfrom .f import g\n", {"a"}),
        (
            "def f():\n    try:\n        import a\n    except ImportError:\n        a = None\n",
            {"a"},
        ),
        ("import a\nx = (\n", set()),
        ("import a\0\n", set()),
    ],
)
def test_what_a_source_imports(tmp_path: Path, source: str, names: set[str]) -> None:
    """Wherever it says so; the modules of its own package are not said."""
    (tmp_path / "a.py").write_text(source)
    assert imported(str(tmp_path / "a.py")) == names
    assert imported(str(tmp_path / "none.py")) == set()


# What does not come up


def test_broken_save_is_shown_until_it_is_mended(home: Home) -> None:
    """File, line and marked source on a page; once in the log; the old code does not answer."""
    server = home.serve(apps={"webapp.py": ONE})
    path = save(home, "webapp.py", BROKEN)
    replies = [server.get("/") for _ in range(3)]
    page = replies[0].text

    assert [(each.status, each.text) for each in replies] == [(500, page)] * 3
    assert replies[0].headers["Content-Type"] == "text/html; charset=utf-8"
    assert f"<p>{path} was changed and does not come up: {path}, line 9: SyntaxError: " in page
    assert "<mark>html = (&quot;&lt;b&gt;&quot;</mark>" in page
    assert "<b>" not in page
    assert server.get("/none").status == 500
    assert times_told(server, "SyntaxError: ", 2) == 2  # sentence and traceback

    save(home, "webapp.py", TWO)
    assert get(server) == "two"
    assert server.get("/none").status == 404


DEFECTS = [
    ("1 // 0\n", "line 9: ZeroDivisionError: integer division or modulo by zero"),
    ("raise SystemExit(3)\n", "line 9: SystemExit: 3"),
    ("import json\njson.loads('{')\n", "line 10: JSONDecodeError: Expecting property name"),
    ("del app\n", "webapp.py has no global named app; write app = ssgi.Application(__name__)"),
    ("@app.onreload\ndef f(wasc, app):\n    1 // 0\n", "line 11: ZeroDivisionError"),
    ("@app.route('/')\ndef f(was):\n    pass\n", "line 9: RouteError: @app.route"),
]


def test_all_that_can_go_wrong(home: Home) -> None:
    """The page names the line of the app and what was raised there; nothing is tried twice."""
    server = home.serve(apps={"webapp.py": ONE})
    for times, (end, what) in enumerate(DEFECTS, 1):
        save(home, "webapp.py", ONE + end)
        reply = server.get("/")
        assert reply.status == 500
        assert what in reply.text
        assert "workers/" not in reply.text
        assert server.get("/").text == reply.text
        assert times_told(server, "was changed and does not come up", times) == times
        save(home, "webapp.py", TWO)
        assert get(server) == "two"


def test_module_beside_the_app_breaks(home: Home) -> None:
    """It is the one that is named, and saving it is enough."""
    server = home.serve(apps=CHAIN)
    deep = save(home, "inner/deep.py", "WORD = nothing\n")
    for _ in range(2):
        assert f"{deep}, line 1: NameError" in server.get("/").text
    save(home, "inner/deep.py", 'WORD = "two"\n')
    assert get(server) == "two 1"
    assert times_told(server, "does not come up") == 1


def test_module_and_app_break_at_once(home: Home) -> None:
    """What one attempt does not come to is read by the next."""
    server = home.serve(apps=CHAIN)
    broken = "import outer)\n" + CHAIN["webapp.py"]
    save(home, "inner/deep.py", "WORD = \n")
    save(home, "webapp.py", broken)
    assert "webapp.py, line 1: SyntaxError" in server.get("/").text
    save(home, "webapp.py", CHAIN["webapp.py"] + "# mended\n")
    assert "deep.py, line 1: SyntaxError" in server.get("/").text
    save(home, "apart.py", "count = 10\n")
    assert "deep.py, line 1: SyntaxError" in server.get("/").text
    save(home, "inner/deep.py", 'WORD = "two"\n')
    assert get(server) == "two 11"


NOT_THERE = [
    ("import new", "new.py"),
    ("from inner import new", "inner/new.py"),
    ("from inner.newer import x", "inner/newer/__init__.py"),
]


def test_module_that_is_not_there_yet(home: Home) -> None:
    """The app comes up when it is."""
    server = home.serve(apps={"webapp.py": ONE, "inner/__init__.py": ""})
    for times, (line, name) in enumerate(NOT_THERE, 1):
        save(home, "webapp.py", ONE + line + "\n")
        for _ in range(3):
            assert "Error" in server.get("/").text
        save(home, name, "x = 1\n")
        assert get(server) == "one"
        assert times_told(server, "does not come up", times) == times


def test_file_that_is_away_for_a_moment(home: Home) -> None:
    """Some editors save by removing and writing."""
    server = home.serve(apps=CHAIN)
    (home.app / "webapp.py").rename(home.app / "webapp.bak")
    assert "FileNotFoundError" in server.get("/").text
    save(home, "apart.py", "count = 5\n")
    assert "FileNotFoundError" in server.get("/").text
    (home.app / "webapp.bak").rename(home.app / "webapp.py")
    assert get(server) == "one 6"


def test_one_app_breaks_and_another_does_not(home: Home) -> None:
    """Also where both have the same mount: it is the first one that would be asked first."""
    other = ONE.replace('"/"', '"/other"')
    apps = {"webapp.py": ONE, "other.py": other}
    routes = "/ = {app}/webapp\n/ = {app}/other\n/test = {app}/other"
    server = home.serve(apps=apps, routes=routes)
    save(home, "other.py", other + "1 // 0\n")

    assert get(server) == "one"
    assert [server.get(path).status for path in ("/other", "/none", "/test/other")] == [500] * 3
    save(home, "webapp.py", TWO)
    assert get(server) == "two"
    assert server.get("/test/other").status == 500
    save(home, "other.py", other)
    assert (get(server, "/other"), get(server, "/test/other")) == ("one", "one")


# Remote procedures


def test_remote_procedures(home: Home) -> None:
    """A fault says what is wrong with the app; the methods of others go on."""
    app, other = ONE.replace('"/"', '"/word"'), ONE.replace('"/"', '"/other"')
    apps = {"webapp.py": app, "other.py": other}
    server = home.serve(apps=apps, routes="/ = {app}/webapp\n/test = {app}/other")
    url = f"http://127.0.0.1:{server.port}/rpc2"
    with xmlrpc.client.ServerProxy(url) as s:
        save(home, "webapp.py", app.replace('"one"', '"two"'))
        assert s.word() == "two"
        save(home, "webapp.py", app + "1 // 0\n")
        with pytest.raises(xmlrpc.client.Fault, match=r"webapp.py, line 9: ZeroDivisionError"):
            s.word()
        assert s.test.other() == "one"
    kind = {"Content-Type": "application/json-rpc"}
    call = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "word", "params": []})
    answer = server.post("/rpc3", call, kind).json()
    assert answer["error"]["code"] == -32603
    assert "ZeroDivisionError" in answer["error"]["message"]


# Packages, and what is kept

WITH_STATE = (
    HEAD
    + """
import greetings

calls = ["import"]


@app.startup
def startup(wasc, app):
    calls.append("startup")
    app.state = {"since": "startup"}
    wasc.register("state", app.state)
    app.add_package(greetings)


@app.onreload
def onreload(wasc, app):
    calls.append("onreload")
    app.state = wasc.state
    app.state["reloads"] = app.state.get("reloads", 0) + 1


@app.route("/")
def index(was):
    return {"calls": calls, "state": was.app.state, "packages": len(was.app.packages)}
"""
)
GREETINGS = (
    PACKAGE
    + """
calls = ["import"]
given = []


@package.startup
def startup(wasc, package):
    calls.append("startup")
    given.append(package)


@package.onreload
def onreload(wasc, package):
    calls.append("onreload " + wasc.state["since"])
    given.append(package)


@package.route("/greetings")
def greet(was):
    return {"word": "one", "calls": calls, "itself": given[-1] is package}
"""
)
PACKAGED = {"webapp.py": WITH_STATE, "greetings.py": GREETINGS}


def test_state_is_kept_by_onreload(home: Home) -> None:
    """Startup is called once; the package goes on untouched."""
    server = home.serve(apps=PACKAGED)
    assert server.get("/").json()["calls"] == ["import", "startup"]
    save(home, "webapp.py", WITH_STATE + "\n")

    assert server.get("/").json() == {
        "calls": ["import", "onreload"],
        "state": {"since": "startup", "reloads": 1},
        "packages": 1,
    }
    assert server.get("/greetings").json()["calls"] == ["import", "startup"]


def test_package_that_was_changed(home: Home) -> None:
    """It takes the place of the old one, and its own onreload is called, after the app's."""
    server = home.serve(apps=PACKAGED)
    save(home, "greetings.py", GREETINGS.replace('"one"', '"two"'))

    expected = {"word": "two", "calls": ["import", "onreload startup"], "itself": True}
    assert server.get("/greetings").json() == expected
    assert server.get("/").json()["packages"] == 1


def test_package_below_a_package(home: Home) -> None:
    """The one between, which does not name it, stays as it is."""
    between = PACKAGE + (
        "import importlib\ncalls = []\n"
        "package.startup(lambda wasc, package:"
        " package.add_package(importlib.import_module('below')))\n"
        "package.onreload(lambda wasc, package: calls.append(1))\n"
        '@package.route("/calls")\ndef reloads(was):\n    return calls\n'
    )
    below = PACKAGE + '@package.route("/word")\ndef word(was):\n    return "one"\n'
    app = HEAD + "import between\napp.add_package(between)\n"
    server = home.serve(apps={"webapp.py": app, "between.py": between, "below.py": below})
    assert get(server, "/word") == "one"
    save(home, "below.py", below.replace('"one"', '"two"'))
    assert get(server, "/word") == "two"
    assert server.get("/calls").json() == []


def test_package_that_comes_with_the_change(home: Home) -> None:
    """What the module adds by its import is started."""
    server = home.serve(apps={"webapp.py": ONE, "greetings.py": GREETINGS})
    save(home, "webapp.py", ONE + "import greetings\napp.add_package(greetings)\n")

    assert server.get("/greetings").json()["calls"] == ["import", "startup"]


def test_package_that_is_none_any_more(home: Home) -> None:
    """The page says what to write; mending it is enough."""
    server = home.serve(apps=PACKAGED)
    save(home, "greetings.py", "calls = []\n")
    assert "greetings): write package = ssgi.Package() in that module" in server.get("/").text
    save(home, "greetings.py", GREETINGS)
    assert server.get("/greetings").json()["calls"] == ["import", "onreload startup"]


def test_package_from_elsewhere(home: Home) -> None:
    """It is looked at wherever it is; its neighbours are not."""
    elsewhere = home.root / "elsewhere"
    elsewhere.mkdir()
    app = f"import sys\nsys.path.append({str(elsewhere)!r})\n" + WITH_STATE + "import stays\n"
    (elsewhere / "stays.py").write_text("")
    (elsewhere / "greetings.py").write_text(GREETINGS)
    server = home.serve(apps={"webapp.py": app})
    (elsewhere / "stays.py").write_text("1 // 0\n")
    assert server.get("/greetings").json()["word"] == "one"
    (elsewhere / "greetings.py").write_text(GREETINGS.replace('"one"', '"other"'))
    assert server.get("/greetings").json()["word"] == "other"


def test_preloaded_apps_are_reloaded_too(home: Home) -> None:
    """A change is seen even by a worker that was forked after it."""
    server: Server = home.serve(apps={"webapp.py": ONE}, more="preload = yes")
    (worker,) = server.workers()
    save(home, "webapp.py", TWO)
    assert get(server) == "two"
    os.kill(worker, 9)
    server.wait_log("is ready", times=2)
    assert get(server) == "two"
