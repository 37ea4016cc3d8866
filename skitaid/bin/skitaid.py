#!/usr/bin/env python3
"""Runs all servers of servers-enabled in this process and its children, or commands them.

    python skitaid.py             run, the log goes to VAR/logs/skitaid.log
    python skitaid.py -c          run, the log goes to the screen
    python skitaid.py stop        stop what runs
    python skitaid.py rotate      new log files for all
    python skitaid.py -n NAME -k terminate|shutdown|restart|rotate|start
    python skitaid.py -k terminate-all|shutdown-all|restart-all|rotate-all|start-all

The script of old; the command is `skitaid start|stop|restart|rotate|status`.
"""

from __future__ import annotations

import argparse
import os
import sys

# This very file would be taken for the package skitaid.
sys.path[:] = [entry for entry in sys.path if entry != os.path.dirname(os.path.abspath(__file__))]

# Imports that need the line above.
from skitaid import cli, output  # noqa: E402
from skitaid.errors import SkitaidError  # noqa: E402
from skitaid.fleet import command  # noqa: E402
from skitaid.paths import Paths  # noqa: E402
from skitaid.places import fleet_log  # noqa: E402

# As verbs of the command.
VERBS = {
    "terminate": ["stop"],
    "shutdown": ["stop", "--graceful"],
    "restart": ["restart"],
    "start": ["start"],
    "rotate": ["rotate"],
}


def main() -> int:
    """Read the command line and do it; return the exit code."""
    options = _parser().parse_args()
    screen = os.dup(2)
    try:
        return _run(options)
    except SkitaidError as error:
        os.write(screen, f"{error}\n".encode())
        return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="skitaid.py", description="Run all enabled servers.")
    parser.add_argument("verb", nargs="?", choices=["stop", "rotate"], help="what runs")
    parser.add_argument("-c", "--consol", action="store_true", help="log to the screen")
    parser.add_argument("-n", "--name", help="the server that -k is for")
    parser.add_argument(
        "-k",
        "--command",
        choices=[*VERBS, *(f"{verb}-all" for verb in VERBS)],
        help="terminate stops at once, shutdown when all is answered",
    )
    parser.add_argument("--etc", help="where the confs are; else SKITAID_ETC, or /etc/skitaid")
    parser.add_argument("--var", help="where logs and pid files go; else SKITAID_VAR, or the conf")
    parser.set_defaults(etc=os.environ.get("SKITAID_ETC"), var=os.environ.get("SKITAID_VAR"))
    return parser


def _run(options: argparse.Namespace) -> int:
    paths = Paths.find(options.etc, options.var)
    if options.verb == "stop":
        return _stop(paths)
    if options.verb == "rotate":
        command.rotate(paths, [])
        return 0
    if options.command:
        return _command(paths, options.command, options.name)
    if not options.consol:
        output.to_log(fleet_log(paths))
        return command.run(paths, log_path=fleet_log(paths))
    return command.run(paths)


def _stop(paths: Paths) -> int:
    if command.stop(paths, graceful=False) is None:
        raise command.NotRunning
    return 0


def _command(paths: Paths, command_name: str, server: str | None) -> int:
    base, _, of_all = command_name.partition("-")
    if not of_all and server is None:
        raise SkitaidError(f"-k {command_name} wants a server: -n NAME, or -k {command_name}-all")
    names = [server] if server and not of_all else paths.enabled()
    if command_name == "rotate-all":
        names = []  # the log of this process, too
    directories = ["--etc", str(paths.etc), "--var", str(paths.var)]
    code: int = cli.main([*directories, *VERBS[base], *names], standalone_mode=False)
    return code


if __name__ == "__main__":
    sys.exit(main())
