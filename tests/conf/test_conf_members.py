"""The members of clusters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitaid import conf_members
from skitaid.conf_lines import Line
from skitaid.conf_members import database, http_member
from skitaid.errors import Complaints, ConfError
from skitaid.workers.settings import Database, Member

SECRET = "hunter2"


def http(text: str) -> Member:
    return http_member(text, default_port=80)


def members(*lines: str) -> tuple[Member, ...]:
    """The members in the lines of a conf, which begin with line 7."""
    complaints = Complaints("web.conf")
    numbered = [Line(number, text) for number, text in enumerate(lines, start=7)]
    found = conf_members.read(numbered, http, complaints)
    complaints.raise_if_any()
    return found


# what is refused


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("h:0", "its port is not a number from 1 to 65535"),
        ("h:65536", "its port is not a number"),
        ("h:", "its port is not a number"),
        ("h:+80", "its port is not a number"),
        ("h:8_0", "its port is not a number"),
        ("h:" + "9" * 5000, "its port is not a number"),
        (":80", "its host is neither"),
        ("h!:80", "its host is neither"),
        ("-h:80", "its host is neither"),
        ("300.1.1.1:80", "its host is neither"),
        ("::1", "put an IPv6 address in brackets"),
        ("[::1", "its brackets do not match"),
        ("::1]:80", "its brackets do not match"),
        ("[localhost]:80", "brackets are for an IPv6 address"),
        ("[::1]80", "brackets are for an IPv6 address"),
        ("[::g]:80", "its host is neither"),
        ("h:80 0", "only a weight"),
        ("h:80 -1", "only a weight"),
        ("h:80 1.5", "only a weight"),
        ("h:80 2 3", "only a weight"),
        ("dns:search.test", "it is not of the form dns:name:port"),
        ("dns:search.test:", "its port is not a number"),
        ("dns::80", "its host is neither"),
        ("dns:10.0.0.1:80", "a name that is looked up, not an address"),
        ("dns:[::1]:80", "a name that is looked up, not an address"),
        ("dns:::1:80", "a name that is looked up, not an address"),
        ("unix:app.sock", "the path of its socket does not begin with /"),
        (f"user:{SECRET}@h:80", "it is not of the form host:port"),
        (f"h:5432/db/user/{SECRET}", "databases want type = postgresql"),
        (f"http://user:{SECRET}@h", "it is a URL; write host:port"),
        (f"{SECRET}!", "its host is neither"),
    ],
)
def test_wrong_http_member(text: str, reason: str) -> None:
    """A wrong member says what is wrong with it, and shows no part of itself."""
    with pytest.raises(ValueError, match=reason) as raised:
        http(text)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("h", "not of the form host:port/db/user/password"),
        ("h:5432/db/user", "not of the form host:port/db/user/password"),
        (f"h//user/{SECRET}", "not of the form"),
        (f"h/db//{SECRET}", "not of the form"),
        (f"h:{SECRET}/db/user/x", "its port is not a number"),
        (f"user:{SECRET}@h/db/user/x", "its port is not a number"),
        (f"h/db/user/{SECRET} x", "only a weight"),
        (f"h/db/user/{SECRET} replica 2", "only a weight"),
        (f"unix:db/user/{SECRET}", "not of the form unix:/directory/db/user/password"),
        (f"h/db/user/two {SECRET} words", "only a weight"),
        (f"postgresql://user:a/{SECRET}@h/db", "its URL is not of the form"),
        (f"postgresql://user:1/{SECRET}@h/db", "its URL names no database or no user"),
        (f"postgresql://user:{SECRET}@h:port/db", "its URL is not of the form"),
        (f"postgresql://user:{SECRET}@[h/db", "its URL is not of the form"),
        (f"postgresql://user:{SECRET}@h", "its URL names no database or no user"),
        (f"postgresql://:{SECRET}@h/db", "its URL names no database or no user"),
        (f"postgresql://user:{SECRET}@/db", "its host is neither"),
        (f"postgresql://user:{SECRET}@h/db?sslmode=require", "the only option"),
        (f"postgresql://user:{SECRET}@/db?host=run", "the path of its socket"),
        (f"mysql://user:{SECRET}@h/db", "not of the form"),
    ],
)
def test_wrong_database(text: str, reason: str) -> None:
    """A wrong database says what is wrong with it, and never shows a password."""
    with pytest.raises(ValueError, match=reason) as raised:
        database(text)
    assert SECRET not in str(raised.value)


def test_complaints_count_members_and_name_their_lines() -> None:
    """Each wrong member is complained about where it stands; the right ones do not hide them."""
    with pytest.raises(ConfError) as raised:
        members("a, b:x", "c", "d:y")
    assert str(raised.value).split("\n") == [
        "web.conf:7: members: number 2: its port is not a number from 1 to 65535",
        "web.conf:9: members: number 4: its port is not a number from 1 to 65535",
    ]


def test_no_members() -> None:
    """A cluster without members is refused."""
    with pytest.raises(ConfError, match="members: there are none"):
        members(" , ", "")


def test_member_twice() -> None:
    """A server listed twice is refused, even with another weight: that is what weights are for."""
    with pytest.raises(ConfError, match="number 2 is listed twice; give it a weight instead"):
        members("a:80", "a 2")


@given(st.text(max_size=60).filter(str.strip))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes anything but a member or a ValueError."""
    for parse in (http, database):
        try:
            parse(text)
        except ValueError:
            continue


# what is read


@pytest.mark.parametrize(
    ("text", "member"),
    [
        ("s1.yourserver.com:5000", Member("s1.yourserver.com", 5000)),
        ("s1.yourserver.com", Member("s1.yourserver.com", 80)),
        ("my_host:81   3", Member("my_host", 81, 3)),
        ("192.168.1.100:5000", Member("192.168.1.100", 5000)),
        ("[2001:db8::1]:5000 2", Member("2001:db8::1", 5000, 2)),
        ("[::1]", Member("::1", 80)),
        ("unix:/run/app.sock", Member("", 0, 1, "/run/app.sock")),
        ("unix:/run/app.sock 2", Member("", 0, 2, "/run/app.sock")),
    ],
)
def test_http_member(text: str, member: Member) -> None:
    """A host with or without port and weight, an IPv6 address, or a unix socket."""
    assert http(text) == member


def test_default_port_is_given_by_the_cluster() -> None:
    """With ssl it is 443."""
    assert http_member("h", default_port=443).port == 443


def test_commas_and_lines_separate_members() -> None:
    """Both may be mixed; empty ones are dropped."""
    hosts = [member.host for member in members("", "a:1,,b:2 2,", "c:3", "d\ne")]
    assert hosts == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("h/db/user/pw", Database("h", 5432, "db", "user", "pw")),
        ("h:1/db/user/p/w:@= 2", Database("h", 1, "db", "user", "p/w:@=", 2)),
        ("h/db/user/", Database("h", 5432, "db", "user", "")),
        ("h/db/user/pw replica", Database("h", 5432, "db", "user", "pw", is_replica=True)),
        ("h/db/user/pw primary", Database("h", 5432, "db", "user", "pw")),
        ("h/db/user/pw 2 replica", Database("h", 5432, "db", "user", "pw", 2, is_replica=True)),
        (
            "unix:/run/postgresql/db/user/pw",
            Database("", 5432, "db", "user", "pw", unix="/run/postgresql"),
        ),
        ("[::1]:1/db/user/pw", Database("::1", 1, "db", "user", "pw")),
        ("postgresql://user:pw@h:1/db", Database("h", 1, "db", "user", "pw")),
        ("postgres://user@h/db 3", Database("h", 5432, "db", "user", "", 3)),
        ("postgresql://us%40er:p%2Cw%20@h/d%62", Database("h", 5432, "db", "us@er", "p,w ")),
        ("postgresql://user:pw@[::1]/db", Database("::1", 5432, "db", "user", "pw")),
        (
            "postgresql://user@/db?host=/run/postgresql",
            Database("", 5432, "db", "user", "", 1, "/run/postgresql"),
        ),
    ],
)
def test_database(text: str, expected: Database) -> None:
    """The short form splits at the first three slashes; the URL form can write anything."""
    assert database(text) == expected


def test_repr_of_a_database_hides_its_password() -> None:
    """A log line with a database in it tells nobody the password."""
    assert SECRET not in repr(database(f"h/db/user/{SECRET}"))
