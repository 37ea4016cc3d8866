"""The conf format, without files and without the meaning of any key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitaid.conf_lines import Section, read
from skitaid.errors import Complaints, ConfError

ENV = {"HOME_DIR": "/home/skitaid", "TRICKY": "a ;b # = ${HOME_DIR}", "EMPTY": ""}


def sections(text: str | bytes) -> list[Section]:
    """What a good conf holds; a bad one raises."""
    complaints = Complaints("web.conf")
    data = text if isinstance(text, bytes) else text.encode()
    found = read(data, ENV, complaints)
    complaints.raise_if_any()
    return found


def pairs(text: str | bytes) -> list[tuple[str, str]]:
    """The entries of a conf's only section."""
    (section,) = sections(text)
    return [(entry.key, entry.value) for entry in section.entries]


def refusal(text: str | bytes) -> str:
    with pytest.raises(ConfError) as raised:
        sections(text)
    return str(raised.value)


# what is refused


def test_bytes_that_are_not_utf8() -> None:
    """Another encoding is named at its line instead of ending in a traceback."""
    assert refusal(b"[server]\nname = caf\xe9\n") == (
        "web.conf:2: the text is not UTF-8; save the file in that encoding"
    )


def test_line_before_any_section() -> None:
    """A line before the first header is refused, and said once however many there are."""
    assert refusal("a = 1\nb = 2\n[server]\n") == (
        "web.conf:1: this line stands before the first [section]"
    )


@pytest.mark.parametrize("header", ["[server", "[]", "[ser]ver", "[a:b:c]", "[:line]"])
def test_broken_header(header: str) -> None:
    """A header that does not close, or has no name, is refused with the two right forms."""
    assert refusal(f"{header}\n") == (
        "web.conf:1: this is not a section header; write [name] or [name:line]"
    )


def test_line_without_equals_sign() -> None:
    """Such a line is refused, and what it contains is not shown: it may be a password."""
    message = refusal("[server]\nhunter2-hunter2\n")
    assert message == "web.conf:2: this line is not of the form key = value"


def test_left_side_that_is_no_key() -> None:
    """A misplaced URL is refused without showing the password in it."""
    message = refusal("[@db]\npostgresql://user:hunter2@h/db?a=b\n")
    assert message == "web.conf:2: this line is not of the form key = value"


def test_members_below_at_the_same_column() -> None:
    """Who forgets to indent further members is told to."""
    message = refusal("[@db]\nmembers =\ns1:5432/db/user/hunter2\n")
    assert "further members are indented deeper than members" in message
    assert "hunter2" not in message


def test_repeated_key() -> None:
    """A key twice in a section names both lines."""
    assert refusal("[server]\nport = 1\n\nport = 2\n") == (
        "web.conf:4: port stands twice, first in line 2; remove one"
    )


def test_repeated_section() -> None:
    """A section twice in a conf names both lines, and its keys are still looked at."""
    assert refusal("[server]\n[x]\n[server]\njunk\n").split("\n") == [
        "web.conf:3: [server] stands twice, first in line 1; make them one",
        "web.conf:4: this line is not of the form key = value",
    ]


def test_unknown_variable() -> None:
    """A variable that is not set is refused with its key and name."""
    assert refusal("[s]\na = ${NOT_SET}\n") == (
        "web.conf:2: a: the environment variable NOT_SET is not set"
    )


@pytest.mark.parametrize("value", ["${", "${}", "${A B}", "${HOME_DIR", "x${-y}"])
def test_unfinished_variable(value: str) -> None:
    """A `${` that begins no variable is refused, and the way to write it is told."""
    assert "a plain ${ is written $${" in refusal(f"[s]\na = {value}\n")


def test_control_character() -> None:
    """NUL and its like are refused: no file name or header may have them."""
    assert refusal("[s]\na = b\0c\n") == "web.conf:2: a control character stands here; remove it"


def test_all_complaints_come_at_once_in_the_order_of_lines() -> None:
    """Nobody has to fix a conf mistake by mistake."""
    message = refusal("[s]\na\nb = ${X}\nc = 1\nc = 2\n[s]\n")
    assert [line.split(":")[1] for line in message.split("\n")] == ["2", "3", "5", "6"]


# what is read


def test_first_equals_sign_splits() -> None:
    """A securekey with `=`, `$`, `&` and `*` in it survives byte for byte."""
    key = "ASDF34x5=DFu$3FD45i&*YTnU+78"
    assert pairs(f"[server]\nsecurekey = {key}\n") == [("securekey", key)]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("a = b ; comment", "b"),
        ("a = b\t;comment", "b"),
        ("a = ; comment", ""),
        ("a = b;c", "b;c"),
        ("a = b;c ; d", "b;c"),
        ("a = b # c", "b # c"),
        ("a = #b", "#b"),
        ("a=b", "b"),
        ("a =", ""),
        ('a = ""', ""),
        ('a = "" x', '"" x'),
        ('a = "b"', '"b"'),
        ("   a = b", "b"),
        ("a = b: c", "b: c"),
    ],
)
def test_value(line: str, value: str) -> None:
    """Only a blank and `;` begin a comment behind a value; only `""` is a quote."""
    assert pairs(f"[s]\n{line}\n") == [("a", value)]


@pytest.mark.parametrize("comment", ["; a = 1", "# a = 1", "   ;a = ${NOT_SET}", "\t#[x]", "  "])
def test_comment_line(comment: str) -> None:
    """Comments and blank lines are passed over, indented ones and those with variables too."""
    assert pairs(f"[s]\n{comment}\nb = 2\n") == [("b", "2")]


@pytest.mark.parametrize(
    ("value", "expanded"),
    [
        ("${HOME_DIR}/app", "/home/skitaid/app"),
        ("${EMPTY}", ""),
        ("$HOME_DIR $5 $", "$HOME_DIR $5 $"),
        ("$${HOME_DIR}", "${HOME_DIR}"),
        ("$$${HOME_DIR}", "$${HOME_DIR}"),
        ("${TRICKY}", "a ;b # = ${HOME_DIR}"),
    ],
)
def test_variables(value: str, expanded: str) -> None:
    """`${NAME}` is replaced once, after comments are cut; any other `$` is plain."""
    assert pairs(f"[s]\na = {value}\n") == [("a", expanded)]


def test_line_section_keeps_order_and_duplicates() -> None:
    """In `[name:line]` the same prefix may stand twice, and order counts."""
    assert pairs("[routes:line]\n/ = b\n/x = c\n/ = a\n") == [("/", "b"), ("/x", "c"), ("/", "a")]


def test_indented_conf() -> None:
    """A conf that was copied with the indentation of a page reads like any other."""
    text = "    [server]\n    port = 1\n\n    [@x]\n    members = a,b\n    ssl = no\n"
    assert [section.title for section in sections(text)] == ["server", "@x"]
    assert [entry.key for entry in sections(text)[1].entries] == ["members", "ssl"]


def test_members_go_on_in_deeper_indented_lines() -> None:
    """Further members may begin with a bracket or have `=`, comments stand between them."""
    text = (
        "[@x]\nmembers =\n  ; the old ones\n  [::1]:80 ; local\n\n\tpostgresql://u@/d?host=/r\n"
        "ssl = no\n"
    )
    (section,) = sections(text)
    members, ssl = section.entries
    assert [tuple(line) for line in members.lines] == [
        (2, ""),
        (4, "[::1]:80"),
        (6, "postgresql://u@/d?host=/r"),
    ]
    assert (ssl.key, ssl.line) == ("ssl", 7)


def test_other_keys_do_not_go_on() -> None:
    """Indentation means nothing below any other key."""
    assert pairs("[s]\na =\n    b = 1\n") == [("a", ""), ("b", "1")]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_byte_order_mark(end: str, mark: bytes) -> None:
    """What Windows editors write is tolerated, and lines are counted right."""
    text = end.join(["; first", "[s]", "a = b", ""])
    (section,) = sections(mark + text.encode())
    assert (section.line, section.entries[0].line, section.entries[0].value) == (2, 3, "b")


# for any text

words = st.text("abcdefghijklmnopqrstuvwxyz0123456789_.-", min_size=1, max_size=8)
values = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp")), max_size=20
).filter(lambda value: value != '""' and not value.startswith(";"))


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_reader_never_fails(data: bytes) -> None:
    """Any bytes give sections and complaints, never an exception."""
    read(data, ENV, Complaints("web.conf"))


@given(st.lists(st.sampled_from(list('[]:=;#$"{} \t\nab@members')), max_size=80).map("".join))
def test_reader_never_fails_on_what_looks_like_a_conf(text: str) -> None:
    """The same for text made of the characters that mean something."""
    read(text.encode(), ENV, Complaints("web.conf"))


@given(st.dictionaries(words, st.dictionaries(words, values, max_size=4), max_size=4))
def test_what_is_written_is_read(content: dict[str, dict[str, str]]) -> None:
    """Any keys and values come back as they were written."""
    lines = []
    for title, entries in content.items():
        lines.append(f"[{title}]")
        lines += [f"{key} = {value.replace('${', '$${')}" for key, value in entries.items()]
    found = sections("\n".join(lines))
    assert {
        section.title: {entry.key: entry.value for entry in section.entries} for section in found
    } == content
