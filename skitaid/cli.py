"""The command line: each verb reads its arguments, calls one function and prints.

Verbs that need the directories take `Paths` as their first argument, by `pass_paths`. Whatever
raises `SkitaidError` below them ends here, as a message on stderr and an exit code.
"""

from __future__ import annotations

import errno
import os
import shlex
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from skitaid import by_name, conf, enabling, masters, scaffold
from skitaid import check as checking
from skitaid import logs as server_logs
from skitaid.cli_paths import Directories, pass_paths
from skitaid.errors import EXIT_FAILED, SkitaidError
from skitaid.fleet import command
from skitaid.fleet.records import FleetStatus
from skitaid.paths import Paths
from skitaid.progress import telling
from skitaid.start_text import down_text, up_line, what_next
from skitaid.status import servers_view
from skitaid.supervisor.expiry import warnings

# Verbs that load what the others can do without: what a server is made of, tables, certificates.
# Each is imported when it is wanted, as most of what a verb takes is its imports.
_ELSEWHERE = {
    "cert": "skitaid.cli_cert",
    "cluster": "skitaid.cli_cluster",
    "demo": "skitaid.cli_demo",
    "serve": "skitaid.cli_serve",
    "stacks": "skitaid.cli_looks",
    "status": "skitaid.cli_status",
    "top": "skitaid.cli_looks",
}


class _Skitaid(click.Group):
    """A group that tells the user what went wrong, without a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_ELSEWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _ELSEWHERE:
            verb: click.Command = getattr(import_module(_ELSEWHERE[cmd_name]), cmd_name)
            return verb
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SkitaidError as error:
            click.echo(str(error), err=True)
            ctx.exit(error.exit_code)
        except OSError as error:
            if error.errno != errno.ENOSPC or error.filename is not None:
                raise
            click.echo("what there is to tell cannot be written: no space left on device", err=True)
            os._exit(EXIT_FAILED)  # Python would try to write the rest once more


graceful_option = click.option(
    "--graceful", is_flag=True, help="Answer first what was asked, up to drain_timeout."
)


def _print_version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        metadata = import_module("importlib.metadata")
        try:
            click.echo(f"skitaid {metadata.version('skitai')}")
        except metadata.PackageNotFoundError:  # run from a checkout
            click.echo("skitaid, not installed")
        ctx.exit()


@click.group(cls=_Skitaid, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--etc",
    envvar="SKITAID_ETC",
    metavar="DIR",
    help="Where skitaid.conf and servers-enabled are, or a home. [/etc/skitaid]",
)
@click.option(
    "--var",
    envvar="SKITAID_VAR",
    metavar="DIR",
    help="Where running servers keep their files. [var_path of skitaid.conf]",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and leave.",
)
@click.pass_context
def main(ctx: click.Context, etc: str | None, var: str | None) -> None:
    """Run Skitai servers from their confs.

    CONF is the NAME of a conf in servers-enabled, a/NAME for one in servers-available, or
    a path; .conf may be left out.
    """
    ctx.obj = Directories(etc, var)


@main.command("check")
@click.argument("name", metavar="CONF")
@pass_paths
def check(paths: Paths, name: str) -> None:
    """Tell what a conf would serve, or all that is wrong with it."""
    path = paths.conf(name)
    settings = conf.load_server(path, paths.run_dir(path.stem))
    click.echo(f"{path.name}: ok: {checking.summary(settings)}")
    for warning in (*checking.warnings(settings), *warnings(settings, time.time())):
        click.echo(f"{path.name}: warning: {warning}")


@main.command("init")
@click.argument("directory", type=click.Path(path_type=Path, resolve_path=True), metavar="DIR")
def init(directory: Path) -> None:
    """Make a home with confs and a small app in DIR."""
    files = scaffold.init(directory)
    etc = shlex.quote(f"{directory}/etc/skitaid")
    click.echo("\n".join(f"made {file}" for file in files))
    click.echo(f"\nNext:\n  skitaid --etc {etc} check web\n  skitaid --etc {etc} serve web")
    click.echo("  curl http://127.0.0.1:5000/hello")


@main.command("start")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--foreground", is_flag=True, help="Stay here; Ctrl-C stops all.")
@pass_paths
def start(paths: Paths, names: tuple[str, ...], foreground: bool) -> None:
    """Run all servers of servers-enabled in the background, or start NAME again.

    Comes back when each server is ready or has failed. Those that are ready stay up
    even if others failed.
    """
    if foreground:
        click.get_current_context().exit(command.run(paths))
    if names:
        with telling(paths, names, click.echo):
            outcome = command.start_servers(paths, names)
        _tell_start(paths, outcome)
    else:
        _tell_start(paths, command.start(paths))


@main.command("stop")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@graceful_option
@pass_paths
def stop(paths: Paths, names: tuple[str, ...], graceful: bool) -> None:
    """Stop all servers, or only NAME; it stays down until it is started again."""
    with telling(paths, names, click.echo):
        pid = None if names else command.stop(paths, graceful)
        if names:
            by_name.stop(paths, names, graceful)
    if names:
        click.echo("\n".join(f"{name} is stopped" for name in names))
    else:
        click.echo(f"skitaid (pid {pid}) is stopped" if pid else "skitaid is not running")


@main.command("restart")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@pass_paths
def restart(paths: Paths, names: tuple[str, ...]) -> None:
    """Run what is installed now, in all servers or only NAME.

    Masters restart in place and replace their workers one by one, so no request is lost. If that
    would not come up, it says why, and the old ones go on.
    """
    alone, outcome = by_name.restart(paths, names, click.echo)
    for name in alone:
        click.echo(f"{name} is restarted")
    if outcome:
        _tell_start(paths, outcome)


@main.command("reload")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@pass_paths
def reload(paths: Paths, names: tuple[str, ...]) -> None:
    """Take over changes of confs and apps, in all servers or only NAME.

    New workers replace the old ones one by one, and no request is lost. If the conf has a
    mistake or an app does not import, it says why, and the old workers go on.
    """
    done = masters.reload(paths, names, click.echo)
    click.echo("\n".join(f"{name} is reloaded" for name in done))


@main.command("enable")
@click.argument("name", metavar="NAME")
@pass_paths
def enable(paths: Paths, name: str) -> None:
    """Link a/NAME into servers-enabled; a fleet that runs starts it.

    A conf with a mistake is not enabled.
    """
    enabling.enable(paths, name)
    click.echo(f"{name} is enabled")
    if command.is_running(paths):
        _tell_start(paths, command.look(paths, [name]))
    else:
        click.echo("skitaid is not running; skitaid start starts all enabled servers")


@main.command("disable")
@click.argument("name", metavar="NAME")
@pass_paths
def disable(paths: Paths, name: str) -> None:
    """Remove the link to a/NAME; a fleet that runs stops it when all is answered."""
    enabling.disable(paths, name)
    click.echo(f"{name} is disabled")
    if command.is_running(paths):
        with telling(paths, [name], click.echo):
            command.look(paths, [name])
        click.echo(f"{name} is stopped")


@main.command("logs")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("-f", "--follow", is_flag=True, help="Go on as more is logged, until Ctrl-C.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    help="How many of each log.",
)
@click.option(
    "--log",
    "kind",
    type=click.Choice(["server", "request", "app"]),
    default="server",
    show_default=True,
    help="Which of a server's logs.",
)
@pass_paths
def logs(paths: Paths, names: tuple[str, ...], follow: bool, lines: int, kind: str) -> None:
    """Show the ends of the logs of NAME, or of skitaid and all servers."""
    chosen = server_logs.logs(paths, names, kind)
    show = server_logs.follow if follow else server_logs.show
    show(chosen, lines, lambda text: click.echo(text, nl=False))


@main.command("rotate")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@pass_paths
def rotate(paths: Paths, names: tuple[str, ...]) -> None:
    """Write to new log files: of NAME, or of skitaid and all servers.

    For who has moved the old ones away, as logrotate does.
    """
    done = by_name.rotate(paths, names)
    click.echo("\n".join(f"{name} writes to new logs" for name in done))


def _tell_start(paths: Paths, outcome: FleetStatus) -> None:
    """A line for each server that is up, the reason for each that is not."""
    views = servers_view(paths, outcome)
    up = [server for server in views if server.state == "running"]
    down = [server for server in views if server.state != "running"]
    for server in up:
        click.echo(up_line(server))
    for server in down:
        click.echo(down_text(server), err=True)
    if down:
        click.echo(what_next(down, command.is_running(paths)), err=True)
        click.get_current_context().exit(EXIT_FAILED)


if __name__ == "__main__":
    main(prog_name="skitaid")
