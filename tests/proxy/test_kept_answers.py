"""Answers that are kept and given again: what the client gets, and what the member is asked."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from operator_session import Home
from plain_member import Asked, Behaviour, PlainMember, Talk, header
from raw_client import pieces, raw_client, request
from served import Reply, Server

from skitaid.workers.web.proxy_cache import SHARE, VARIANTS, Kept, Store
from skitaid.workers.web.proxy_cache_rules import Terms, Wish
from skitaid.workers.web.proxy_caching import PATIENCE, Asking, Caching

LIMIT = 1024 * 1024
BIG = 12 * LIMIT  # more than all buffers on the way
APP = """
from skitai.server import ssgi

app = ssgi.Application (__name__)


@app.route ("/cachefs")
def cachefs (was):
    return was.cachefs.status ()
"""
TURNS: Counter[str] = Counter()  # by target


def counted(more: str, status: str = "200 OK", waits: bool = False) -> Behaviour:
    """Answers with how often it was asked for this target."""

    def behave(member: PlainMember, talk: Talk, asked: Asked) -> bool:
        if waits:
            member.wait_open()
        TURNS[asked.target] += 1
        body = str(TURNS[asked.target]).encode()
        talk.send(header(status, len(body), more) + (b"" if asked.method == "HEAD" else body))
        return True

    return behave


def checked(more: str) -> Behaviour:
    """The same with an entity tag: 304 for who has it."""
    full = counted(more + 'ETag: "v1"\r\n')

    def behave(member: PlainMember, talk: Talk, asked: Asked) -> bool:
        if asked.get("if-none-match") == '"v1"':
            talk.send(header("304 Not Modified", None, more + "X-News: yes\r\n"))
            return True
        return full(member, talk, asked)

    return behave


def failing(dies: bool) -> Behaviour:
    """Answers once, stale at once; after that it is broken."""
    well = counted('Cache-Control: max-age=0, stale-if-error=600\r\nETag: "v"\r\n')

    def behave(member: PlainMember, talk: Talk, asked: Asked) -> bool:
        if not TURNS[asked.target]:
            return well(member, talk, asked)
        if not dies:
            talk.send(header("500 Internal Server Error", 4) + b"oops")
        return not dies

    return behave


def large(member: PlainMember, talk: Talk, asked: Asked) -> bool:
    TURNS[asked.target] += 1
    size = LIMIT // SHARE + 1
    talk.send(header(length=size, more="Cache-Control: max-age=60\r\n") + b"x" * size)
    return True


def big(member: PlainMember, talk: Talk, asked: Asked) -> bool:
    talk.send(header(length=BIG, more=FRESH))
    for piece in pieces(BIG):
        talk.send(piece)
    return True


def slow_dying(member: PlainMember, talk: Talk, asked: Asked) -> bool:
    member.wait_open()
    talk.send(b"HTTP/1.1 2")  # so it is not asked again
    return False


def withdrawn(member: PlainMember, talk: Talk, asked: Asked) -> bool:
    """Stale at once, then forbidden, then broken."""
    TURNS[asked.target] += 1
    status = ["200 OK", "403 Forbidden", "500 Internal Server Error"][TURNS[asked.target] - 1]
    talk.send(header(status, 2, "Cache-Control: max-age=0, stale-if-error=600\r\nETag: w\r\n"))
    talk.send(b"ok")
    return True


FRESH = "Cache-Control: max-age=60\r\n"
BEHAVIOURS = {
    "fresh": counted(FRESH + 'ETag: "a"\r\nAge: 7\r\nServer: theirs\r\n'),
    "public": counted("Cache-Control: public, max-age=60\r\n"),
    "private": counted("Cache-Control: private, max-age=60\r\n"),
    "plain": counted(""),
    "cookie": counted(FRESH + "Set-Cookie: a=b\r\n"),
    "language": counted(FRESH + "Vary: Accept-Language\r\n"),
    "told": counted(FRESH + "Vary: X-Forwarded-For\r\n"),
    "missing": counted(FRESH, "404 Not Found"),
    "moved": counted(FRESH + "Location: /there\r\n", "301 Moved Permanently"),
    "slow": counted(FRESH, waits=True),
    "slow-private": counted("Cache-Control: private\r\n", waits=True),
    "slow-dying": slow_dying,
    "withdrawn": withdrawn,
    "tagged": checked(FRESH),
    "check": checked("Cache-Control: no-cache\r\n"),
    "failing": failing(dies=False),
    "dying": failing(dies=True),
    "large": large,
    "big": big,
}


@pytest.fixture(scope="module")
def shared_member() -> Iterator[PlainMember]:
    with PlainMember(**BEHAVIOURS) as member:
        yield member


@pytest.fixture(scope="module")
def server(shared_home: Home, shared_member: PlainMember) -> Server:
    conf = f"[@one]\ncache = {LIMIT}\nmembers = {shared_member.node}\n"
    conf += f"[@wide]\ncache = {BIG * SHARE * 2}\nmembers = {shared_member.node}"
    routes = "/one = @one\n/wide = @wide\n/ = {app}/webapp"
    return shared_home.serve(routes=routes, sections=conf, apps={"webapp.py": APP})


def bodies(server: Server, path: str, *headers: dict[str, str]) -> list[bytes]:
    """Of one request for each of the headers."""
    return [server.get(path, each).body for each in headers]


def test_fresh_answer_is_given_again(server: Server, member: PlainMember) -> None:
    """With its age, its fields as they were, and a word on where it is from (RFC 9211)."""
    first, second = server.get("/one/fresh?1"), server.get("/one/fresh?1")

    assert (first.body, second.body) == (b"1", b"1")
    assert len(member.seen) == 1
    assert first.headers["age"] == "7"
    assert int(second.headers["age"]) >= 7
    assert second.headers.get_all("age") == [second.headers["age"]]
    assert second.headers["server"] == "theirs"
    assert second.headers["cache-status"].startswith("web; hit; ttl=")
    assert first.headers["cache-status"] is None


@pytest.mark.parametrize("path", ["private", "plain", "cookie", "told"])
def test_what_is_not_kept(server: Server, path: str) -> None:
    """Each request is the member's."""
    assert bodies(server, f"/one/{path}", {}, {}) == [b"1", b"2"]


@pytest.mark.parametrize("path", ["missing", "moved"])
def test_other_statuses(server: Server, path: str) -> None:
    """An error or a redirect is kept like a page, and leads through the prefix."""
    first, second = (_raw_get(server, f"/one/{path}") for _ in range(2))

    assert first.status == second.status != 200
    assert (first.body, second.body) == (b"1", b"1")
    assert second.headers["location"] == ("/one/there" if path == "moved" else None)


def _raw_get(server: Server, path: str) -> Reply:
    return server.request("GET", path)


def test_what_the_client_has_is_not_sent(server: Server, member: PlainMember) -> None:
    """Its own condition is answered here, also when the answer was asked for by another one."""
    server.get("/one/fresh?2")
    has, has_not = (server.get("/one/fresh?2", {"If-None-Match": tag}) for tag in ('"a"', '"b"'))

    assert (has.status, has.body, has.headers["etag"]) == (304, b"", '"a"')
    assert (has_not.status, has_not.body) == (200, b"1")
    assert len(member.seen) == 1


def test_head_is_answered_by_a_kept_get(server: Server, member: PlainMember) -> None:
    """With its length; a HEAD alone keeps nothing."""
    server.request("HEAD", "/one/fresh?3")
    server.get("/one/fresh?3")
    head = server.request("HEAD", "/one/fresh?3")

    assert [each.method for each in member.seen] == ["HEAD", "GET"]
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "1")


def test_who_calls_us_otherwise_gets_another_answer(server: Server) -> None:
    """The member is told the name, so answers by it are apart: nobody can plant one for others."""
    names = [{"Host": "a.example"}, {"Host": "b.example"}, {"Host": "a.example"}]

    assert bodies(server, "/one/fresh?4", *names) == [b"1", b"2", b"1"]


def test_answers_vary(server: Server) -> None:
    """By the fields that the answer names, and by no others."""
    german, french = {"Accept-Language": "de"}, {"Accept-Language": "fr", "X": "1"}

    assert bodies(server, "/one/language", german, french, german, french, {}) == [
        *(b"1", b"2", b"1", b"2", b"3")
    ]


def test_a_field_that_the_member_is_not_told_counts_as_none(server: Server) -> None:
    """One that is for the connection alone: nobody can plant the answer without it for others."""
    german = {"Accept-Language": "de"}
    hidden = {**german, "Connection": "keep-alive, Accept-Language"}

    assert bodies(server, "/one/language?hidden", hidden, german, {}, hidden, german) == [
        *(b"1", b"2", b"1", b"1", b"2")
    ]


def test_requests_with_cookies(server: Server) -> None:
    """They get, and leave, only what is marked for all."""
    cookie = {"Cookie": "a=b"}

    assert bodies(server, "/one/fresh?5", {}, cookie, cookie, {}) == [b"1", b"2", b"3", b"1"]
    assert bodies(server, "/one/public?5", cookie, {}, cookie) == [b"1", b"1", b"1"]


@pytest.mark.parametrize(
    "fields",
    [
        {"Cache-Control": "no-cache"},
        {"Pragma": "no-cache"},
        {"Cache-Control": "max-age=0"},
        {"Cache-Control": "no-store"},
        {"Authorization": "Basic eDp5"},
        {"Range": "bytes=0-0"},
    ],
)
def test_requests_that_want_the_member(server: Server, fields: dict[str, str]) -> None:
    """A kept answer is not for them."""
    path = f"/one/fresh?{'-'.join(fields)}{'-'.join(fields.values()).replace(' ', '')}"

    assert bodies(server, path, {}, fields) == [b"1", b"2"]


def test_only_if_kept(server: Server, member: PlainMember) -> None:
    """A client may ask for nothing else (RFC 9111 section 5.2.1.7)."""
    wish = {"Cache-Control": "only-if-cached"}
    without = server.get("/one/fresh?6", wish)
    server.get("/one/fresh?6")

    assert without.status == 504
    assert server.get("/one/fresh?6", wish).body == b"1"


def test_stale_answer_is_asked_about(server: Server, member: PlainMember) -> None:
    """If it is still right it is given, with the news of the 304; the member sends no body."""
    first, second, third = (server.get("/one/check") for _ in range(3))

    assert [each.body for each in (first, second, third)] == [b"1", b"1", b"1"]
    assert [each.get("if-none-match") for each in member.seen] == [None, '"v1"', '"v1"']
    assert (first.headers["x-news"], third.headers["x-news"]) == (None, "yes")
    assert third.status == 200


def test_clients_condition_does_not_reach_the_member(server: Server, member: PlainMember) -> None:
    """We ask for the whole answer, for others too."""
    reply = server.get("/one/check?2", {"If-None-Match": '"v1"'})

    assert (reply.status, reply.body) == (200, b"1")
    assert member.seen[0].get("if-none-match") is None


@pytest.mark.parametrize("path", ["failing", "dying"])
def test_stale_answer_if_the_member_fails(server: Server, path: str) -> None:
    """As long as the answer says that it may be (stale-if-error, RFC 5861)."""
    first, second = server.get(f"/one/{path}"), server.get(f"/one/{path}")

    assert (first.body, second.status, second.body) == (b"1", 200, b"1")
    assert int(second.headers["cache-status"].rpartition("=")[2]) <= 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_change_makes_forget(server: Server, method: str) -> None:
    """An unsafe request that succeeds (RFC 9111 section 4.4)."""
    path = f"/one/fresh?{method}"
    server.get(path)
    changed = server.request(method, path, "x" if method != "DELETE" else None)

    assert changed.body == b"2"
    assert server.get(path).body == b"3"


def test_large_answers_are_passed_on_only(server: Server) -> None:
    """One answer does not take more than its share."""
    server.get("/one/large")
    server.get("/one/large")

    assert TURNS["/large"] == 2


def _together(server: Server, path: str, count: int) -> tuple[list[threading.Thread], list[Reply]]:
    replies: list[Reply] = []
    threads = [
        threading.Thread(target=lambda: replies.append(server.get(path))) for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    return threads, replies


def test_many_at_once_are_one_for_the_member(server: Server, member: PlainMember) -> None:
    """The others wait for the first one's answer."""
    threads, replies = _together(server, "/one/slow?1", 8)
    member.wait_seen(1)
    member.open()
    for thread in threads:
        thread.join()

    assert [each.body for each in replies] == [b"1"] * 8
    assert len(member.seen) == 1


def test_nobody_waits_for_what_is_not_kept(server: Server, member: PlainMember) -> None:
    """When the first answer is private the others are passed on, all of them at once."""
    threads, replies = _together(server, "/one/slow-private", 4)
    member.wait_seen(1)
    member.open()
    member.wait_seen(4)  # none of these has been answered yet
    for _ in range(3):
        member.open()
    for thread in threads:
        thread.join()

    assert sorted(each.body for each in replies) == [b"1", b"2", b"3", b"4"]


def test_those_that_wait_do_not_fail_one_by_one(server: Server, member: PlainMember) -> None:
    """When the member breaks off the others are passed on, all of them at once."""
    began = time.monotonic()
    threads, replies = _together(server, "/one/slow-dying", 4)
    member.wait_seen(1)
    member.open()
    member.wait_seen(4)  # none of these has been answered yet
    assert time.monotonic() - began < PATIENCE
    for _ in range(3):
        member.open()
    for thread in threads:
        thread.join()

    assert [each.status for each in replies] == [502] * 4


def test_an_answer_for_those_without_cookies_remains(server: Server, member: PlainMember) -> None:
    """A request with cookies, for which it was not made, neither asks about it nor forgets it."""
    first = server.get("/one/tagged")
    other = server.get("/one/tagged", {"Cookie": "user=1"})
    again = server.get("/one/tagged")

    assert [each.body for each in (first, other, again)] == [b"1", b"2", b"1"]
    assert [each.get("if-none-match") for each in member.seen] == [None, None]


def test_an_answer_that_is_not_any_more_is_forgotten(server: Server) -> None:
    """A stale one that was replaced by one that may not be kept does not come back on an error."""
    replies = [server.get("/one/withdrawn") for _ in range(3)]

    assert [each.status for each in replies] == [200, 403, 500]


def test_first_client_leaves(server: Server, member: PlainMember) -> None:
    """Another one of those that wait is passed on in its place."""
    with raw_client(server.port) as client:
        client.send(request("GET", "/one/slow?2", host=f"127.0.0.1:{server.port}"))
        member.wait_seen(1)
        threads, replies = _together(server, "/one/slow?2", 2)
    member.wait_seen(2)
    for _ in range(2):
        member.open()
    for thread in threads:
        thread.join()

    assert len({each.body for each in replies}) == 1
    assert len(member.seen) == 2


def test_apps_see_what_is_kept(server: Server) -> None:
    """was.cachefs, by cluster."""
    before = server.get("/cachefs").json()["@one"]
    for _ in range(3):
        server.get("/one/fresh?seen")
    after = server.get("/cachefs").json()["@one"]

    assert after["hits"] - before["hits"] == 2
    assert after["misses"] - before["misses"] == 1
    assert after["answers"] - before["answers"] == 1
    assert before["bytes"] < after["bytes"] <= after["max_bytes"] == LIMIT


def test_nobody_waits_for_a_slow_client(server: Server, member: PlainMember) -> None:
    """One that does not read its answer holds up nobody who wants the same."""
    with raw_client(server.port) as client:
        client.send(request("GET", "/wide/big", host=f"127.0.0.1:{server.port}"))
        member.wait_begun()
        other = server.get("/wide/big")
        first = client.answer()

        assert len(other.body) == len(first.read()) == BIG
    assert len(member.seen) == 2


def test_log_shows_who_was_asked(server: Server) -> None:
    """Nobody, for a kept answer."""
    server.get("/one/public?log")
    server.get("/one/public?log")
    log = server.wait_log("/one/public?log", times=2)
    first, second = [line for line in log.splitlines() if "/one/public?log" in line]

    assert len(first.split()) == len(second.split()) + 2


# The book


def kept(size: int, value: bytes = b"") -> Kept:
    terms = Terms(60.0, 0.0, 0.0, False, 0.0, True)
    names = (b"x",) if value else ()
    values = (value,) if value else ()
    return Kept(200, b"OK", [], b"", b"x" * size, terms, names, values)


def test_store_is_bounded() -> None:
    """The least recently used go first; its size is that of what it holds."""
    store = Store(64 * 1024)
    for number in range(100):
        store.keep(b"%d" % number, kept(1000))
        assert store.find(b"0", {}) is not None
        assert store.size <= store.limit

    assert store.find(b"1", {}) is None
    assert store.find(b"99", {}) is not None
    assert store.size == len(store) * kept(1000).size + sum(
        len(b"%d" % number) for number in range(100) if store.find(b"%d" % number, {})
    )


def test_long_keys_count() -> None:
    """Who asks for small answers under long names fills it, too."""
    store = Store(64 * 1024)
    for number in range(100):
        store.keep(b"%08000d" % number, kept(1))

    assert 0 < len(store) <= 8


def test_bodies_that_are_not_whole_are_bounded() -> None:
    """However many are on their way, as to clients that read slowly; what was given up is free."""
    loop = asyncio.new_event_loop()
    caching = Caching(loop, Store(64 * 1024), "web")
    turns = [Asking(caching, b"%d" % index, Wish(), {}, None, b"") for index in range(20)]
    fields = [(b"Cache-Control", b"max-age=60"), (b"Content-Length", b"7001")]
    most = 0
    for turn in turns:
        turn.answered(200, b"OK", fields, b"")
        turn.more([b"x" * 7000], False)
        most = max(most, caching.gathered)
    assert 32 * 1024 < most <= caching.store.limit
    turns[0].more([b"x"], True)
    for turn in turns:
        turn.over()
        turn.over()
    loop.close()

    assert caching.gathered == 0
    assert len(caching.store) == 1


def test_what_an_answer_varies_by_may_be_changed() -> None:
    """The newest of those that fit is given; one without Vary fits all (section 4.1)."""
    store = Store(64 * 1024)
    store.keep(b"a", kept(10))
    store.keep(b"a", kept(20, b"en"))
    found = store.find(b"a", {b"x": [b"en"]})

    assert found is not None and len(found.body) == 20


def test_store_does_not_keep_what_is_too_large() -> None:
    """And forgets what that would have taken the place of."""
    store = Store(64 * 1024)
    store.keep(b"a", kept(1000))
    store.keep(b"a", kept(store.limit // SHARE))

    assert (store.find(b"a", {}), store.size) == (None, 0)


def test_store_keeps_some_variants() -> None:
    """Of one key, the newest of them; the same variant again takes its own place."""
    store = Store(1024 * 1024)
    for number in range(VARIANTS + 3):
        store.keep(b"a", kept(10, b"%d" % number))
    store.keep(b"a", kept(20, b"10"))

    assert len(store) == VARIANTS
    assert store.find(b"a", {b"x": [b"0"]}) is None
    found = store.find(b"a", {b"x": [b"10"]})
    assert found is not None and len(found.body) == 20
    store.drop(b"a")
    assert store.size == 0
