"""Which route of the conf answers a path."""

from __future__ import annotations

import pytest

from skitai.app import Application
from skitai.errors import RpcFault
from skitai.table import Found
from skitaid.workers.settings import AppRoute, ClusterRoute, Route, StaticRoute
from skitaid.workers.web.mounts import Below, Failed, Methods, Missed, Mounts, Moved, Proxied


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


def outcome(some: Mounts, path: str, method: str = "GET") -> str | None:
    """What is found, in short."""
    match some.find(path, method):
        case Found(of, route, params):
            return f"{of.import_name} {route.rule} {params or ''}".rstrip()
        case Moved(to):
            return f"-> {to}"
        case Proxied(cluster):
            return f"@{cluster}"
        case Missed(of, _, _, methods):
            return f"{of.import_name} misses it, has {sorted(methods)}"
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
        ("/test/none", "test misses it, has []"),
        ("/test/hello/", "-> /test/hello"),
        ("/tes", "root /<path:p> {'p': 'tes'}"),
        ("/testing", "root /<path:p> {'p': 'testing'}"),
        ("/Test", "root /<path:p> {'p': 'Test'}"),
        ("/test/deep", "deep /"),
        ("/test/deep/", "deep /"),
        ("/test/deep/hello", "deep misses it, has []"),
        ("/test/deeper", "test misses it, has []"),
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

    assert outcome(some, "/api") == "api misses it, has []"
    assert outcome(some, "/api/") == "api misses it, has []"
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


def test_several_apps_with_one_prefix() -> None:
    """They are asked in the order of the conf; a cluster takes what is left."""
    some = mounts(("/a", app("one", "/x")), ("/a", app("two", "/x", "/y")), ("/a", "@rest"))

    assert outcome(some, "/a/x") == "one /x"
    assert outcome(some, "/a/y") == "two /y"
    assert outcome(some, "/a/z") == "@rest"


def test_rule_with_or_without_a_slash_at_its_end() -> None:
    """Whoever writes the other one is sent there; a rule that has it comes first."""
    some = mounts(("/m", app("app", "/x", "/y/", "/both", "/both/", "/n/<int:n>/")))

    paths = ("/m/x/", "/m/y", "/m/both", "/m/both/", "/m/n/5", "/m/x//", "/m//")
    assert [outcome(some, path) for path in paths] == [
        "-> /m/x",
        "-> /m/y/",
        "app /both",
        "app /both/",
        "-> /m/n/5/",
        "app misses it, has []",
        "app misses it, has []",
    ]


def test_method_that_no_rule_has() -> None:
    """The methods there are, of the first app that has the path."""
    made = Application("app")
    made.add_route("/x", lambda was: None, ["POST"])
    some = mounts(("/", made))

    assert outcome(some, "/x") == "app misses it, has ['POST']"
    assert outcome(some, "/x", "POST") == "app /x"
    assert outcome(some, "/x/", "GET") == "app misses it, has []"


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


# Development mode


def test_app_that_is_replaced() -> None:
    """At all its mounts, for whatever it has and whatever it has no more."""
    old, new = app("same", "/", "/old"), app("same", "/", "/new/<int:n>")
    some = mounts(("/", old), ("/again", old), ("/else", TEST))

    some.replace("/same.py", new)

    assert some.find("/", "GET").app is new  # type: ignore[union-attr]
    assert outcome(some, "/again/new/5") == "same /new/<int:n> {'n': 5}"
    assert outcome(some, "/old") == "same misses it, has []"
    assert outcome(some, "/else/hello") == "test /hello"


def test_app_that_has_failed_until_it_is_replaced() -> None:
    """It answers all that it would be asked for, and nothing else."""
    first, second = app("first", "/", "/both"), app("second", "/both", "/second")
    some = mounts(("/", first), ("/", second), ("/other", TEST))
    failed = Failed("it does not come up", b"page")

    some.fail("/second.py", failed)

    assert [outcome(some, path) for path in ("/", "/both")] == ["first /", "first /both"]
    assert [some.find(path, "GET") for path in ("/second", "/none")] == [failed, failed]
    assert outcome(some, "/other/hello") == "test /hello"
    some.fail("/first.py", failed)
    assert some.find("/both", "GET") is failed
    assert some.exact_paths() == ["/other/", "/other/hello"]
    some.replace("/first.py", first)
    some.replace("/second.py", second)
    assert outcome(some, "/second") == "second /second"


def test_method_of_an_app_that_has_failed() -> None:
    """It is a fault that says so."""
    some = mounts(("/", app("first", "/word")))
    some.fail("/first.py", Failed("it does not come up", b"page"))

    with pytest.raises(RpcFault, match="it does not come up") as raised:
        Methods(some).find("word")
    assert raised.value.code == -32603


def test_which_paths_are_in_development_mode() -> None:
    """Those that an app may be asked for which is."""
    quiet, devel = app("quiet", "/"), app("devel", "/")
    devel.set_devel()
    some = mounts(
        ("/", quiet), ("/", devel), ("/quiet", quiet), ("/devel/deep", devel), ("/c", "@c")
    )
    paths = ("/", "/a", "/quiet", "/quiet/a", "/devel", "/devel/deep", "/devel/deep/a", "/c", "/ca")

    assert [path for path in paths if some.is_in_devel(path)] == [
        "/",
        "/a",
        "/devel",
        "/devel/deep",
        "/devel/deep/a",
        "/ca",
    ]
    assert not mounts(("/quiet", quiet)).is_in_devel("/")
