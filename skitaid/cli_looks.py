"""`skitaid top` and `skitaid stacks`: what workers are doing at this moment."""

from __future__ import annotations

import click
import msgspec

from skitaid import looks
from skitaid.cli_paths import pass_paths
from skitaid.paths import Paths
from skitaid.status_text import console
from skitaid.status_watch import again_and_again
from skitaid.top_text import top_text


@click.command("top")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--watch", "watched", is_flag=True, help="Again every second, until Ctrl-C.")
@pass_paths
def top(paths: Paths, names: tuple[str, ...], as_json: bool, watched: bool) -> None:
    """Show the requests in hand of NAME, or of all servers, the oldest first."""
    screen = console()
    if watched:
        again_and_again(screen, lambda: top_text(looks.top(paths, names), screen.width))
    elif as_json:
        click.echo(msgspec.json.encode(looks.top(paths, names)))
    else:
        screen.print(top_text(looks.top(paths, names), screen.width))


@click.command("stacks")
@click.argument("name", metavar="NAME")
@pass_paths
def stacks(paths: Paths, name: str) -> None:
    """Show where each thread of each worker is, also of those that hang.

    server.log gets the same.
    """
    click.echo(looks.stacks(paths, name))
