"""Who answers a path: an app's rules and those of its packages, in their order."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from skitai.errors import HttpError
from skitai.server import ssgi
from skitai.table import Table


def anything(was: Any, **given: Any) -> None:
    """A handler that takes all."""


def rule_of(table: Table, path: str, method: str = "GET") -> str | frozenset[str]:
    found = table.match(path, method)
    return found[0].route.rule if isinstance(found, tuple) else found


def with_package(app: ssgi.Application, package: ssgi.Package) -> Table:
    module = ModuleType("part")
    module.package = package  # type: ignore[attr-defined]
    app.add_package(module)
    return Table(app)


def test_exact_beats_pattern_and_the_first_pattern_wins() -> None:
    """In whatever order they were registered."""
    app = ssgi.Application("webapp")
    for rule in ("/<a>", "/<path:b>", "/exact"):
        app.add_route(rule, anything)
    table = Table(app)

    paths = ("/exact", "/other", "/other/more", "other")
    rules = [rule_of(table, path) for path in paths]

    assert rules == ["/exact", "/<a>", "/<path:b>", frozenset()]


def test_packages_answer_after_the_app() -> None:
    """But their exact rules come before the app's patterns."""
    app, package = ssgi.Application("webapp"), ssgi.Package()
    for rule in ("/<a>", "/both"):
        app.add_route(rule, anything)
    for rule in ("/both", "/greeting", "/<a>/<b>"):
        package.add_route(rule, anything)
    package.before_request(anything)
    table = with_package(app, package)

    paths = ("/both", "/greeting", "/else", "/a/b")
    found = [table.match(path, "GET") for path in paths]

    assert all(isinstance(each, tuple) for each in found)
    assert [each[0].levels for each in found if isinstance(each, tuple)] == [
        (),
        (package.hooks,),
        (),
        (package.hooks,),
    ]


def test_method_that_no_rule_has() -> None:
    """What there is instead is said, of all rules that match."""
    app = ssgi.Application("webapp")
    app.add_route("/a", anything, ["GET"])
    app.add_route("/<name>", anything, ["POST"])
    table = Table(app)

    assert rule_of(table, "/a", "HEAD") == "/a"
    assert rule_of(table, "/a", "POST") == "/<name>"
    assert rule_of(table, "/a", "DELETE") == {"GET", "HEAD", "POST"}
    assert rule_of(table, "/none/a", "GET") == frozenset()


def test_page_of_the_app_for_what_is_missing() -> None:
    """Only its error handlers are called for it, no other hooks."""
    app = ssgi.Application("webapp")
    app.before_request(anything)

    def page(was: Any, error: Exception) -> None:
        """An error handler."""

    error = HttpError(404, "no")
    assert Table(app).missing(error, "") is None

    app.errorhandler(404)(page)
    found = Table(app).missing(error, "/base")

    assert found is not None
    assert [bool(each.before) for each in found.levels] == [False]
    assert Table(app).missing(HttpError(405), "") is None


def test_handlers_by_name() -> None:
    """With or without their module."""
    app = ssgi.Application("webapp")
    app.add_route("/a", anything)
    app.add_route("/b", anything)
    table = Table(app)

    rules = [each.rule for each in table.named("anything")]

    assert rules == [each.rule for each in table.named(f"{__name__}.anything")] == ["/a", "/b"]
    assert table.named("nothing") == []
