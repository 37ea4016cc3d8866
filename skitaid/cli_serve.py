"""`skitaid serve`: a server in this process."""

from __future__ import annotations

import json

import click

from skitaid.cli_paths import pass_paths
from skitaid.paths import Paths
from skitaid.serve import serve as run_server
from skitaid.trial import run as run_trial


@click.command("serve")
@click.argument("name", metavar="CONF")
@click.option("--notify-fd", type=int, hidden=True, help="Gets a line when the server is ready.")
@click.option("--lifeline-fd", type=int, hidden=True, help="Its end of file stops the server.")
@click.option("--legacy-fd", type=int, hidden=True, help="What the program before this left.")
@click.option("--trial", metavar="BOUND", hidden=True, help="Only try; these are bound already.")
@pass_paths
def serve(
    paths: Paths,
    name: str,
    notify_fd: int | None,
    lifeline_fd: int | None,
    legacy_fd: int | None,
    trial: str | None,
) -> None:
    """Run one server in the foreground, until Ctrl-C.

    The log goes to stderr. TERM and Ctrl-C stop at once, QUIT (Ctrl-\\) when all requests
    are answered.
    """
    conf = paths.conf(name)
    if trial is not None:
        run_trial(conf, paths, [(ip, port) for ip, port in json.loads(trial)])
    exit_code = run_server(conf, paths, notify_fd, lifeline_fd, legacy_fd)
    click.get_current_context().exit(exit_code)
