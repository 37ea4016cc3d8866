"""docs/reference/command.md and the command say the same."""

from __future__ import annotations

import re
import signal

import click
import pytest
from operator_session import CHECKOUT

from skitaid.cli import main
from skitaid.fleet.fleet import SIGNALS
from skitaid.fleet.server import State
from skitaid.status_text import NUMBERS, WORDS

CONTEXT = click.Context(main)
VERBS = main.list_commands(CONTEXT)
PAGE = (CHECKOUT / "docs" / "reference" / "command.md").read_text()


def rows(title: str) -> dict[str, str]:
    """The table under a heading: its first column, and all of the row."""
    section = PAGE.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    cells = [line.split("|") for line in section.splitlines() if line.startswith("|")]
    return {row[1].strip(): "|".join(row[2:]) for row in cells[2:]}


def test_every_verb_stands_there_and_no_other() -> None:
    """By the first word of its row."""
    written = {re.sub(r"[` ].*", "", first.strip("`")) for first in rows("Verbs")}
    assert written == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_and_argument_stands_there(verb: str) -> None:
    """In the row of its verb; hidden ones are nobody's business."""
    (row,) = [first + rest for first, rest in rows("Verbs").items() if first.startswith(f"`{verb}")]
    command = main.get_command(CONTEXT, verb)
    assert command is not None
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            names = parameter.opts[:1] if not parameter.hidden else []
        else:
            names = [str(parameter.metavar)]
        assert [name for name in names if name not in row] == []


def test_every_signal_and_state_and_column_stands_there() -> None:
    """As an operator meets them."""
    signals = {
        name for first in rows("Signals of the fleet") for name in re.findall("[A-Z0-9]+", first)
    }
    assert signals == {number.name.removeprefix("SIG") for number in SIGNALS}
    assert signal.SIGHUP in SIGNALS
    columns = rows("What `status` shows")
    named = {name.strip() for first in columns for name in first.split(",")}
    assert {*WORDS, *NUMBERS} - {"server"} <= named
    assert [state.value for state in State if f"`{state.value}`" not in columns["state"]] == []
