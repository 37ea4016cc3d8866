"""Sessions: what was kept comes back, what is not ours is an empty one, nothing is sent in vain."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from skitai.cookie import pairs
from skitai.errors import SessionTooLarge, SkitaiError
from skitai.seal import Seal
from skitai.session import COOKIE_MAX, Session, Sessions

TIMEOUT = 1200
SESSIONS = Sessions(Seal(["securekey"]), TIMEOUT)


def new(**values: Any) -> Session:
    session = SESSIONS.open(None, is_secure=False)
    session.update(values)
    return session


def sent(session: Session, ago: float = 0) -> str | None:
    """The Set-Cookie line, of a request that ended some seconds ago."""
    field = session.field(time.time() - ago)
    assert field is None or field[0] == "Set-Cookie"
    return field and field[1]


def cookie_of(session: Session, ago: float = 0) -> str:
    """What the client sends from then on."""
    line = sent(session, ago)
    assert line is not None
    return line.partition(";")[0]


def again(session: Session, ago: float = 0) -> Session:
    """The session of the client's next request."""
    return SESSIONS.open(cookie_of(session, ago), is_secure=False)


# what is not ours


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "a=1",
        "SESSION",
        "SESSION=",
        "SESSION=nonsense",
        "SESSION=O5eMHORahMJqsYSiiF2iZLGK0eA=?_",
        "SESSION=%00",
        "SESSION=\xe9",
        "SESSION=" + "A" * 5000,
        'SESSION=""',
    ],
)
def test_a_cookie_that_nobody_has_sealed_is_an_empty_session(header: str | None) -> None:
    """Nor is anything sent for it."""
    session = SESSIONS.open(header, is_secure=False)

    assert dict(session) == {}
    assert sent(session) is None


def test_a_cookie_of_another_key_is_an_empty_session() -> None:
    """As is one that the key has sealed for something else."""
    other = Sessions(Seal(["another key"]), TIMEOUT)
    sealed_otherwise = SESSIONS.seal.seal(b'[9999999999,0,{"user":"a"}]', b"another purpose")

    assert dict(other.open(cookie_of(new(user="a")), is_secure=False)) == {}
    assert dict(SESSIONS.open(f"SESSION={sealed_otherwise}", is_secure=False)) == {}


@given(st.data())
def test_a_changed_cookie_is_an_empty_session(data: st.DataObject) -> None:
    """Wherever it is changed."""
    header = cookie_of(new(user="a"))
    at = data.draw(st.integers(len("SESSION="), len(header) - 1))
    becomes = data.draw(st.characters(codec="latin-1"))
    assume(becomes != header[at])

    assert dict(SESSIONS.open(header[:at] + becomes + header[at + 1 :], is_secure=False)) == {}


def test_a_session_that_is_over_is_empty() -> None:
    """By the server's clock, whatever the client keeps."""
    assert dict(again(new(user="a"), ago=TIMEOUT + 1)) == {}
    assert dict(again(new(user="a"), ago=TIMEOUT - 100)) == {"user": "a"}


# what cannot be kept


@pytest.mark.parametrize("key", [1, None, b"a", ("a",)])
def test_a_key_that_is_no_text(key: Any) -> None:
    """It would come back as one."""
    session = new()
    with pytest.raises(TypeError, match="give a str"):
        session[key] = 1
    with pytest.raises(TypeError, match="give a str"):
        session.set(key, 1)
    with pytest.raises(TypeError, match="give a str"):
        session.setdefault(key, 1)
    with pytest.raises(TypeError, match="give a str"):
        session.update({key: 1})
    assert key not in session


def endless() -> list[Any]:
    within: list[Any] = []
    within.append(within)
    return within


def test_of_several_session_cookies_the_one_that_opens_counts() -> None:
    """A neighbouring domain may add one of the same name, but nobody loses his session by it."""
    session = new(user="hans")
    field = session.field(time.time())
    assert field is not None
    ours = field[1].partition(";")[0]

    assert SESSIONS.open(f"SESSION=nonsense; {ours}", False)["user"] == "hans"


@pytest.mark.parametrize(
    "make",
    [
        object,
        lambda: datetime(2020, 1, 1, tzinfo=UTC),
        lambda: b"bytes",
        lambda: (1, 2),
        lambda: {1, 2},
        lambda: {1: 2},
        lambda: Decimal("1.5"),
        lambda: float("nan"),
        lambda: float("inf"),
        lambda: "\ud800",
        lambda: [{"deep": [(1,)]}],
        endless,
    ],
)
def test_what_json_does_not_bring_back_is_refused(make: Callable[[], Any]) -> None:
    """And the key named: better than something else in the next request."""
    session = new(before=1, wrong=make(), after=[2])

    for end in (session.commit, lambda: session.field(time.time())):
        with pytest.raises(TypeError, match=r"was\.session\['wrong'\] is a \w+ that is or holds"):
            end()


def test_a_key_that_utf_8_does_not_have() -> None:
    """It is refused like a value."""
    with pytest.raises(TypeError, match=r"was\.session\['\\ud800'\] is a int"):
        new(**{"\ud800": 1}).commit()


def test_what_does_not_fit_is_an_error() -> None:
    """It says how much it is, and of what; a browser would just drop it."""
    session = new(user="hansroh", cart=["x" * 100] * 40)

    for end in (session.commit, lambda: session.field(time.time())):
        with pytest.raises(SessionTooLarge) as caught:
            end()
        assert isinstance(caught.value, SkitaiError)
        assert str(caught.value) == (
            "the session is a cookie of 5595 bytes, and browsers keep none over 4096; the largest"
            " value is was.session['cart'] with 4121 bytes of JSON; store it on the server, and in"
            " the session only its key"
        )
    del session["cart"]
    assert dict(again(session)) == {"user": "hansroh"}


def test_up_to_the_last_byte() -> None:
    """The limit is of name, = and value (RFC 6265 section 6.1)."""
    session = new(a="")
    room = COOKIE_MAX - len(cookie_of(session))
    session["a"] = "x" * (room * 3 // 4)
    assert len(cookie_of(session)) == COOKIE_MAX
    assert dict(again(session)) == {"a": session["a"]}

    session["a"] += "x"
    with pytest.raises(SessionTooLarge, match=r" of 409[78] bytes"):
        session.commit()


# there and back

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=15,
)
KEY = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)


@given(st.dictionaries(KEY, JSON, max_size=6))
def test_round_trip(values: dict[str, Any]) -> None:
    """Whatever JSON carries comes back as it was, in its order, and is not sent again."""
    session = new(**values)
    if not values:
        assert sent(session) is None
        return
    back = again(session)

    assert repr(dict(back)) == repr(values)
    assert sent(back) is None


@given(st.dictionaries(KEY, JSON, min_size=1, max_size=4), st.dictionaries(KEY, JSON, max_size=4))
def test_it_is_sent_just_when_it_has_changed(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Whatever was done to it: what the client has is what the handler left."""
    session = again(new(**before))
    session.clear()
    session.update(after)

    line = sent(session)
    if repr(before) == repr(after):
        assert line is None
    else:
        assert line is not None
        back = SESSIONS.open(line.partition(";")[0], is_secure=False)
        assert dict(back) == after


def test_the_cookie() -> None:
    """For all of this host, for no script and no other site, as long as the session lasts."""
    line = sent(new(user="a"))
    assert line is not None
    (name, value), *attributes = pairs(line)
    found = dict(attributes)

    assert (name, value.isascii(), found.pop("Expires")[-3:]) == ("SESSION", True, "GMT")
    assert found == {"Path": "/", "Max-Age": "1200", "HttpOnly": "", "SameSite": "Lax"}


def test_it_stays_on_tls() -> None:
    """When it has come by it."""
    session = SESSIONS.open(None, is_secure=True)
    session["a"] = 1
    assert "; Secure; HttpOnly; " in (sent(session) or "")
    del session["a"]


def test_nobody_can_read_it() -> None:
    """Not even that it is the same as before."""
    first, second = cookie_of(new(user="hansroh")), cookie_of(new(user="hansroh"))

    assert "hansroh" not in first
    assert first != second


def test_change_of_key() -> None:
    """Sessions of the old key go on, and are sealed with the new one when they are sent again."""
    header = cookie_of(new(user="a"))
    both = Sessions(Seal(["new-securekey", "securekey"]), TIMEOUT)
    session = both.open(header, is_secure=False)
    assert session["user"] == "a"
    session["n"] = 1

    only_new = Sessions(Seal(["new-securekey"]), TIMEOUT)
    assert dict(only_new.open(cookie_of(session), is_secure=False)) == {"user": "a", "n": 1}


# when it is sent


def test_nothing_is_sent_when_nothing_changed() -> None:
    """Reading is no change, nor is setting what is there, nor what is undone."""
    session = again(new(user="a", cart=[1]))
    assert session.get("user") == "a"
    session["user"] = "a"
    session["cart"].append(2)
    session["cart"].pop()
    session["n"] = 1
    del session["n"]

    assert sent(session) is None


def test_a_nested_change_is_noticed() -> None:
    """Though nobody told the session."""
    session = again(new(cart=[1]))
    session["cart"].append(2)

    assert again(session)["cart"] == [1, 2]


def test_a_type_that_equals_is_a_change() -> None:
    """1 is not True for who reads it."""
    session = again(new(a=1))
    session["a"] = True
    assert again(session)["a"] is True


def test_the_time_slides() -> None:
    """It is sent again after half of its time, whole, and lives on."""
    young, old = again(new(a=1), ago=TIMEOUT / 2 - 60), again(new(a=1), ago=TIMEOUT / 2 + 60)
    assert sent(young) is None

    line = sent(old)
    assert line is not None and "; Max-Age=1200; " in line
    header = line.partition(";")[0]
    back = SESSIONS.open(header, is_secure=False)
    assert dict(back) == {"a": 1}
    assert sent(back) is None


@pytest.mark.parametrize("empty", [Session.clear, lambda session: session.pop("a")])
def test_an_emptied_session_is_deleted(empty: Callable[[Session], Any]) -> None:
    """On the client, if it has one."""
    session = again(new(a=1))
    empty(session)
    line = sent(session)
    assert line is not None
    assert line.startswith("SESSION=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; ")

    fresh = new(a=1)
    empty(fresh)
    assert sent(fresh) is None


# as a dict


def test_it_is_a_dict() -> None:
    """With the names that apps know it by."""
    session = new(a=1)
    session.set("b", [2])
    assert (session.get("a"), session.get("x"), session.get("x", 5)) == (1, None, 5)
    assert session.has_key("b") and "b" in session and not session.has_key("x")
    assert (list(session.keys()), list(session.values())) == (["a", "b"], [1, [2]])
    assert (list(session.items()), len(session), bool(session)) == ([("a", 1), ("b", [2])], 2, True)
    assert (session.pop("a"), session.pop("a", "none"), session.setdefault("c", 3)) == (
        1,
        "none",
        3,
    )
    with pytest.raises(KeyError):
        session["a"]
    del session["a"]  # no error
    session.clear()
    assert (dict(session), bool(session)) == ({}, False)


# how long it lasts


def test_a_lifetime_of_its_own() -> None:
    """It is kept with the session, also when that changes later."""
    session = new(user="a")
    session.commit(expires=30 * 86400)
    assert "; Max-Age=2592000; " in (sent(session) or "")

    after_ten_days = again(session, ago=10 * 86400)
    assert after_ten_days["user"] == "a"
    assert sent(after_ten_days) is None
    after_ten_days["n"] = 1
    assert "; Max-Age=2592000; " in (sent(after_ten_days) or "")

    after_twenty_days = again(session, ago=20 * 86400)
    assert "; Max-Age=2592000; " in (sent(after_twenty_days) or "")
    assert dict(again(session, ago=31 * 86400)) == {}


def test_another_lifetime_is_a_change() -> None:
    """The client must be told."""
    session = again(new(user="a"))
    session.commit()
    assert sent(session) is None
    session.commit(expires=60)
    assert "; Max-Age=60; " in (sent(session) or "")


@pytest.mark.parametrize("expires", [0, "now", -5])
def test_commit_that_ends_it(expires: Any) -> None:
    """As it does with cookies."""
    session = again(new(user="a"))
    session.commit(expires)

    assert dict(session) == {}
    assert "; Max-Age=0; " in (sent(session) or "")


def test_what_is_set_after_a_commit_is_sent_too() -> None:
    """Nothing is lost without a word."""
    session = new(a=1)
    session.commit()
    session["b"] = 2
    assert dict(again(session)) == {"a": 1, "b": 2}
