"""The status page as HTML."""

from __future__ import annotations

from collections import Counter

import imagined_status
import pytest
from html_tree import Node, tree
from msgspec.structs import replace

from skitaid.workers.admin.document import Status
from skitaid.workers.admin.page import ERRORS_MAX, ROUTES_MAX, SLOW_MAX, WAITS_MAX, Page

PAGE = Page("/skitai")
STATUS = imagined_status.status()
EVIL = '"><script>alert(1)</script>'


@pytest.fixture(scope="module")
def page() -> Node:
    return tree(PAGE.whole(STATUS, "the-token"))


def test_links_lead_somewhere(page: Node) -> None:
    """All links within the page have their target, and no id is there twice."""
    ids = Counter(each.attributes["id"] for each in page.walk() if "id" in each.attributes)
    assert [name for name, number in ids.items() if number > 1] == []
    targets = {each.attributes["href"] for each in page.all("a")}
    inner = {each[1:] for each in targets if each.startswith("#")}
    assert inner - ids.keys() == set()


def test_from_a_slow_request_to_the_member_to_its_pool(page: Node) -> None:
    """Three clicks at the most: the request, what it waited for, the pool of that."""
    slowest = page.by_id("slow").all("li")[-20]
    assert "2.41 s GET /search?keyword=Mozart&page=0" in slowest.words
    href = slowest.all("table")[0].all("a")[0].attributes["href"]
    member = page.by_id(href.removeprefix("#"))
    assert member.words.startswith("10.0.0.10:5000 ● up")
    (pool_link,) = [each for each in member.all("a") if "pool" in each.attributes["href"]]
    pool = page.by_id(pool_link.attributes["href"].removeprefix("#"))
    assert pool.words == "10.0.0.10:5000 @search 4 9 0 0 80"
    back = pool.all("a")[0].attributes["href"]
    assert back == href


def test_a_slow_request_tells_where_its_time_went(page: Node) -> None:
    """As text, and as a bar whose description is the same."""
    slowest = page.by_id("slow").all("li")[-20]
    phases = slowest.all("dl")[0].words
    assert phases == "arrival 24 ms queue 241 ms running 627 ms waiting 1.49 s response 24 ms"
    bar = slowest.all("svg")[0].attributes["aria-label"]
    assert bar == "arrival 24 ms, queue 241 ms, running 627 ms, waiting 1.49 s, response 24 ms"


def test_nothing_inline_and_nothing_from_elsewhere(page: Node) -> None:
    """No style attribute, no handler attribute, no inline script: the policy would refuse them."""
    for each in page.walk():
        assert each.tag != "style"
        assert not [name for name in each.attributes if name == "style" or name.startswith("on")]
    (script,) = page.all("script")
    assert script.text == ""
    sources = [script.attributes["src"]] + [each.attributes["href"] for each in page.all("link")]
    assert all(each.startswith("/skitai/status/") for each in sources)


def test_orders_are_posts_with_the_token(page: Node) -> None:
    """There is one form; all buttons that change something belong to it."""
    (form,) = page.all("form")
    assert (form.attributes["method"], form.attributes["action"]) == ("post", "/skitai/status/do")
    (token,) = form.all("input")
    assert token.attributes["value"] == "the-token"
    buttons = [each for each in page.all("button") if each.attributes["type"] == "submit"]
    assert {each.attributes["form"] for each in buttons} == {"act"}
    orders = {each.attributes["value"] for each in buttons}
    assert orders > {"reload", "restart", "stop", "more", "fewer", "clear", "stacks"}
    assert "drain:search:10.0.0.10:5000" in orders
    assert "enable:billing:10.0.1.11:5000" in orders


def test_databases_stand_beside_clusters() -> None:
    """They are told apart by a word, and acted on alike."""
    database = replace(STATUS.clusters[1], name="mydb")
    found = tree(PAGE.whole(replace(STATUS, databases=[database]), "token"))
    rows = found.by_id("cluster-mydb")
    assert rows.words.startswith("@mydb database, p2c, 4 members")
    orders = {each.attributes["value"] for each in rows.all("button")}
    assert {"drain:mydb:10.0.1.10:5000", "enable:mydb:10.0.1.11:5000"} < orders


def test_hostile_names_stay_text() -> None:
    """Whatever comes from clients, members, logs and confs is escaped."""
    slow = replace(STATUS.slow[0], uri=EVIL, id=EVIL, handler=EVIL, rule=EVIL, method=EVIL)
    failure = replace(STATUS.errors[0], message=EVIL, traceback=EVIL, request=EVIL)
    member = replace(STATUS.clusters[0].members[0], node=EVIL, last_error=EVIL, state="down")
    status = replace(
        STATUS,
        server=replace(STATUS.server, last_error=EVIL, conf=EVIL, environment={EVIL: EVIL}),
        slow=[slow],
        errors=[failure],
        clusters=[replace(STATUS.clusters[0], name=EVIL, members=[member])],
        routes=[replace(STATUS.routes[0], rule=EVIL, handler=EVIL)],
        apps=[replace(STATUS.apps[0], prefix=EVIL, file=EVIL, error=EVIL)],
        registered={EVIL: {EVIL: EVIL}},
    )
    found = tree(PAGE.whole(status, "token", EVIL))
    assert len(found.all("script")) == 1
    assert found.text.count("alert(1)") > 15


def test_an_empty_server_explains_itself() -> None:
    """Where there is nothing to show, a sentence says why."""
    found = tree(PAGE.whole(imagined_status.empty(), "token"))
    empty = [each.words for each in found.all("p") if each.attributes.get("class") == "empty"]
    assert len(empty) == 9
    assert "Nothing has been asked for yet." in empty
    assert any(each.startswith("● Nothing: all workers answer") for each in empty)


def test_a_large_server_is_cut_to_what_is_read() -> None:
    """The busiest routes, the slowest requests, the newest errors; all routes have a page."""
    waits = STATUS.slow[0].waits * 10
    status = replace(
        imagined_status.status(routes=1000),
        slow=[replace(STATUS.slow[0], waits=waits, id=f"{index}") for index in range(50)],
        errors=STATUS.errors * 20,
    )
    found = tree(PAGE.whole(status, "token"))
    assert len(found.by_id("routes").all("tr")) == ROUTES_MAX + 1
    assert "The 50 busiest of 1,000" in found.by_id("routes").words
    assert len(found.by_id("slow").all("details")) == SLOW_MAX
    assert len(found.by_id("slow").all("tbody")[0].all("tr")) == WAITS_MAX
    assert len(found.by_id("errors").all("details")) == ERRORS_MAX
    every = tree(PAGE.all_routes(status))
    assert len(every.by_id("routes").all("tr")) == 1001


def test_what_went_wrong_is_shown_whole() -> None:
    """Why a reload was abandoned and why a worker died are there with their tracebacks."""
    server = replace(STATUS.server, last_change=replace(change(STATUS), error="line 1\nline 2"))
    found = tree(PAGE.whole(replace(STATUS, server=server), "token"))
    assert "line 1\nline 2" in [each.text for each in found.by_id("server").all("pre")]
    assert "■ failed" in found.by_id("last-change").words


def change(status: Status) -> object:
    assert status.server.last_change is not None
    return status.server.last_change


def test_another_admin_path() -> None:
    """All addresses of the page are below it."""
    found = tree(Page("/ops/look").whole(STATUS, "token"))
    names = ("href", "src", "action")
    used = {
        each.attributes[name] for each in found.walk() for name in names if name in each.attributes
    }
    assert {each for each in used if not each.startswith(("#", "/ops/look/"))} == set()
