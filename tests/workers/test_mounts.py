"""Which route of the conf answers a path."""

from __future__ import annotations

import pytest

from skitai.app import Application
from skitaid.workers.settings import AppRoute, ClusterRoute, Route, StaticRoute
from skitaid.workers.web.mounts import Below, Found, Mounts, Moved, Proxied


def app(name: str, *rules: str) -> Application:
    made = Application(name)
    for rule in rules:
        made.add_route(rule, lambda was, **given: None)
    return made


def mounts(*routes: tuple[str, str | Application]) -> Mounts:
    """prefix and target: an app, "@cluster" or a directory."""
    conf: list[Route] = []
    apps: dict[str, Application] = {}
    for prefix, target in routes:
        if isinstance(target, Application):
            file = f"/{target.import_name}.py"
            apps[file] = target
            conf.append(AppRoute(prefix, file, "web.conf:1"))
        elif target.startswith("@"):
            conf.append(ClusterRoute(prefix, target[1:], "web.conf:1"))
        else:
            conf.append(StaticRoute(prefix, target, "web.conf:1"))
    return Mounts(conf, apps)


def outcome(some: Mounts, path: str) -> str | None:
    """What is found, in short."""
    match some.find(path):
        case Found(of, route, params):
            return f"{of.import_name} {route.rule} {params or ''}".rstrip()
        case Moved(to):
            return f"-> {to}"
        case Proxied(cluster):
            return f"@{cluster}"
        case None:
            return None


ROOT = app("root", "/", "/test", "/test/hello", "/<path:p>")
TEST = app("test", "/", "/hello", "/<int:n>")
DEEP = app("deep", "/")
SLASH = app("slash", "/", "/hello")

BOTH = mounts(("/", ROOT), ("/test", TEST), ("/test/deep", DEEP), ("/slash/", SLASH), ("/x", "@c"))


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/", "root /"),
        ("/else", "root /<path:p> {'p': 'else'}"),
        ("/test", "test /"),
        ("/test/", "test /"),
        ("/test/hello", "test /hello"),
        ("/test/5", "test /<int:n> {'n': 5}"),
        ("/test/none", None),
        ("/test/hello/", None),
        ("/tes", "root /<path:p> {'p': 'tes'}"),
        ("/testing", "root /<path:p> {'p': 'testing'}"),
        ("/Test", "root /<path:p> {'p': 'Test'}"),
        ("/test/deep", "deep /"),
        ("/test/deep/", "deep /"),
        ("/test/deep/hello", None),
        ("/test/deeper", None),
        ("/slash", "-> /slash/"),
        ("/slash/", "slash /"),
        ("/slash/hello", "slash /hello"),
        ("/slashed", "root /<path:p> {'p': 'slashed'}"),
        ("/x", "@c"),
        ("/x/y", "@c"),
        ("/xy", "root /<path:p> {'p': 'xy'}"),
        ("//test/hello", "root /<path:p> {'p': '/test/hello'}"),
    ],
)
def test_longest_prefix_wins(path: str, found: str | None) -> None:
    """At segment boundaries; and what the app of a prefix does not have, no other app answers."""
    assert outcome(BOTH, path) == found


def test_order_in_the_conf_does_not_matter_for_apps() -> None:
    """The longest prefix is the longest in any order."""
    backwards = mounts(("/test/deep", DEEP), ("/test", TEST), ("/", ROOT))

    assert outcome(backwards, "/test/hello") == "test /hello"
    assert outcome(backwards, "/test/deep") == "deep /"
    assert outcome(backwards, "/none/such") == "root /<path:p> {'p': 'none/such'}"


def test_app_without_a_root_rule() -> None:
    """The bare path of its mount is not answered by another."""
    some = mounts(("/", ROOT), ("/api", app("api", "/users")))

    assert outcome(some, "/api") is None
    assert outcome(some, "/api/") is None
    assert outcome(some, "/api/users") == "api /users"


def test_cluster_below_an_app_and_app_below_a_cluster() -> None:
    """They are mounts like others."""
    some = mounts(("/", "@all"), ("/app", TEST), ("/app/x", "@x"))

    assert outcome(some, "/any") == "@all"
    assert outcome(some, "/app/hello") == "test /hello"
    assert outcome(some, "/app/x") == "@x"


def test_no_mount() -> None:
    """A server may have directories only."""
    some = mounts(("/", "/srv/a"))

    assert outcome(some, "/") is None
    assert some.has_directories
    assert not BOTH.has_directories


def test_route_that_is_added_later_is_found() -> None:
    """The book of exact paths is only a short cut."""
    late = app("late", "/")
    some = mounts(("/", ROOT), ("/late", late))
    late.add_route("/new", lambda was: None)

    assert outcome(some, "/late/new") == "late /new"


FILES = mounts(
    ("/", "/srv/a"),
    ("/", "/srv/b"),
    ("/docs", "/srv/docs"),
    ("/docs/old/", "/srv/old"),
    ("/", ROOT),
)


@pytest.mark.parametrize(
    ("path", "places"),
    [
        ("/", [("/srv/a", "/"), ("/srv/b", "/")]),
        ("/x.txt", [("/srv/a", "/x.txt"), ("/srv/b", "/x.txt")]),
        ("/docs", [("/srv/docs", "")]),
        ("/docs/", [("/srv/docs", "/")]),
        ("/docs/x", [("/srv/docs", "/x")]),
        ("/docs/old", [("/srv/old", "")]),
        ("/docs/old/x", [("/srv/old", "/x")]),
        ("/docs/older", [("/srv/docs", "/older")]),
        ("/docsx", [("/srv/a", "/docsx"), ("/srv/b", "/docsx")]),
    ],
)
def test_directories_of_a_path(path: str, places: list[tuple[str, str]]) -> None:
    """Those of the longest prefix, in the order of the conf."""
    assert FILES.below(path) == [Below(directory, rest) for directory, rest in places]


def test_path_above_all_directories() -> None:
    """There is nothing to look into."""
    assert mounts(("/docs", "/srv/docs")).below("/other") == []
