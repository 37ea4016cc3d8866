"""The conf format: text in, sections with numbered entries out. No files, no meaning.

- `[name]` opens a section of `key = value` lines, in which a key may stand once. A section
  opened as `[name:line]` keeps the order of its lines, and a left side may be repeated.
- The first `=` splits; later ones belong to the value. `""` is an empty value; any other
  quote, and any backslash, is an ordinary character.
- A line whose first non-blank character is `;` or `#` is a comment. Behind a value only a
  `;` after a blank begins one, never a `#`.
- Indentation means nothing, so a conf may be indented as a whole. The one exception is
  `members`: the lines below it that are indented deeper than it are further members.
- `${NAME}` in a value is replaced by the environment variable after comments are cut, so it
  may contain anything. `$${` is a plain `${`; any other `$` is a plain `$`.
- UTF-8, with or without a byte order mark; line ends LF or CRLF.

Messages never show what a line contains, for it may be a misplaced password.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec
from msgspec import field

from skitaid.errors import Complaints

CONTINUED = frozenset({"members"})  # keys whose value may go on in deeper indented lines

_BLANK = " \t"
_HEADER = re.compile(r"\[([^\[\]:]+)(?::([^\[\]:]+))?\]")
_KEY = re.compile(r"[A-Za-z0-9_.-]+")
_INLINE_COMMENT = re.compile(r"[ \t];.*")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_VARIABLE = re.compile(r"\$(\$\{)|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|(\$\{)")


class Line(NamedTuple):
    """A piece of text, and the line it stands on, counted from 1."""

    number: int
    text: str


class Entry(msgspec.Struct, frozen=True):
    """One `key = value`."""

    key: str
    lines: list[Line]  # one; more only below a key of `CONTINUED`

    @property
    def line(self) -> int:
        return self.lines[0].number

    @property
    def value(self) -> str:
        return self.lines[0].text


class Section(msgspec.Struct, frozen=True):
    """`[name]` with distinct keys, or `[name:line]` with lines in order."""

    title: str  # what stands between the brackets
    line: int
    entries: list[Entry] = field(default_factory=list)

    @property
    def is_lines(self) -> bool:
        return self.title.endswith(":line")

    def find(self, key: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.key == key), None)


def read(data: bytes, env: Mapping[str, str], complaints: Complaints) -> list[Section]:
    """The sections of a conf. What cannot be understood is left out and complained about."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        complaints.add(line, "the text is not UTF-8; save the file in that encoding")
        return []
    reader = _Reader(env, complaints)
    for written, indent in _written_lines(text):
        reader.feed(written, indent)
    return reader.sections


def _written_lines(text: str) -> Iterator[tuple[Line, int]]:
    """The lines without blanks and comments around them, each with its column."""
    for number, raw in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        content = raw.strip(_BLANK)
        if content and content[0] not in ";#":
            indent = len(raw.expandtabs()) - len(raw.expandtabs().lstrip(_BLANK))
            yield Line(number, _INLINE_COMMENT.sub("", content).rstrip(_BLANK)), indent


class _Reader:
    """Eats a conf line by line."""

    def __init__(self, env: Mapping[str, str], complaints: Complaints) -> None:
        self.sections: list[Section] = []
        self._env = env
        self._complaints = complaints
        self._section: Section | None = None  # the one being filled, even if not in the list
        self._open: tuple[Entry, int] | None = None  # a key of CONTINUED, and its column

    def feed(self, line: Line, indent: int) -> None:
        if _CONTROL.search(line.text):
            self._complaints.add(line.number, "a control character stands here; remove it")
        elif self._open is not None and indent > self._open[1]:
            self._continue(self._open[0], line)
        elif line.text[0] == "[":
            self._open = None
            self._open_section(line)
        else:
            self._open = None
            self._add_entry(line, indent)

    def _continue(self, entry: Entry, line: Line) -> None:
        text = self._expanded(entry.key, line)
        if text is not None:
            entry.lines.append(Line(line.number, text))

    def _open_section(self, line: Line) -> None:
        header = _HEADER.fullmatch(line.text)
        title = ":".join(part.strip() for part in header.groups() if part) if header else ""
        self._section = Section(title or ":line", line.number)
        earlier = next((section for section in self.sections if section.title == title), None)
        if not title:
            message = "this is not a section header; write [name] or [name:line]"
            self._complaints.add(line.number, message)
        elif earlier is not None:
            message = f"[{title}] stands twice, first in line {earlier.line}; make them one"
            self._complaints.add(line.number, message)
        else:
            self.sections.append(self._section)

    def _add_entry(self, line: Line, indent: int) -> None:
        if self._section is None:
            self._section = Section(":line", line.number)  # so this is said only once
            self._complaints.add(line.number, "this line stands before the first [section]")
        key, equals, value = line.text.partition("=")
        key, value = key.rstrip(_BLANK), value.lstrip(_BLANK)
        if not equals or not (self._section.is_lines or _KEY.fullmatch(key)):
            self._complaints.add(line.number, self._not_an_entry())
            return
        self._insert(self._section, key, Line(line.number, "" if value == '""' else value), indent)

    def _insert(self, section: Section, key: str, value: Line, indent: int) -> None:
        earlier = None if section.is_lines else section.find(key)
        text = self._expanded(key, value)
        entry = Entry(key, [Line(value.number, text or "")])
        if key in CONTINUED and not section.is_lines:
            self._open = entry, indent
        if earlier is not None:
            message = f"{key} stands twice, first in line {earlier.line}; remove one"
            self._complaints.add(value.number, message)
        elif text is not None:
            section.entries.append(entry)

    def _not_an_entry(self) -> str:
        if self._section is not None and self._section.is_lines:
            return "this line has no =; write prefix = target"
        after = self._section.entries[-1].key if self._section and self._section.entries else ""
        hint = f" (further {after} are indented deeper than {after})" if after in CONTINUED else ""
        return "this line is not of the form key = value" + hint

    def _expanded(self, key: str, line: Line) -> str | None:
        """The text with its variables; None if that fails."""
        wrong: list[str] = []

        def value_of(found: re.Match[str]) -> str:
            _, name, unfinished = found.groups()
            if unfinished:
                wrong.append("${ wants the name of a variable and }; a plain ${ is written $${")
            elif name and name not in self._env:
                wrong.append(f"the environment variable {name} is not set")
            return self._env.get(name, "") if name else "${"

        text = _VARIABLE.sub(value_of, line.text)
        for message in wrong:
            self._complaints.add(line.number, f"{key}: {message}")
        return None if wrong else text
