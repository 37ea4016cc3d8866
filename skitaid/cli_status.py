"""`skitaid status`."""

from __future__ import annotations

import click
import msgspec

from skitaid.cli_paths import pass_paths
from skitaid.paths import Paths
from skitaid.status import view as view_status
from skitaid.status_text import console, fleet_text
from skitaid.status_watch import watch

EXIT_NOT_RUNNING = 3  # what the Linux Standard Base wants of `status`


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--watch", "watched", is_flag=True, help="Again every second, until Ctrl-C.")
@pass_paths
def status(paths: Paths, as_json: bool, watched: bool) -> None:
    """Show the servers and what they do. Exit code 3: skitaid is not running."""
    if watched:
        watch(paths)
        return
    view = view_status(paths)
    if as_json:
        click.echo(msgspec.json.encode(view))
    else:
        screen = console()
        screen.print(fleet_text(view, width=screen.width))
    click.get_current_context().exit(0 if view.running else EXIT_NOT_RUNNING)
