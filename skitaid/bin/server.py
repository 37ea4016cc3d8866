#!/usr/bin/env python3
"""Runs one server: `python server.py -f NAME -c`.

The script of old; `skitaid serve NAME` is the same as with -c. Without -c the process stays in
the foreground too, but its log goes to VAR/servers/NAME/logs/server.log.
"""

from __future__ import annotations

import argparse
import os
import sys

# Beside this script lies a skitaid.py, which would be taken for the package.
sys.path[:] = [entry for entry in sys.path if entry != os.path.dirname(os.path.abspath(__file__))]

# Imports that need the line above.
from skitaid import check, output  # noqa: E402
from skitaid.conf import load_server  # noqa: E402
from skitaid.errors import SkitaidError  # noqa: E402
from skitaid.paths import Paths  # noqa: E402
from skitaid.places import server_log  # noqa: E402
from skitaid.serve import serve  # noqa: E402


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
    parser = argparse.ArgumentParser(prog="server.py", description="Run one server.")
    parser.add_argument(
        "-f",
        "--conf",
        required=True,
        metavar="NAME",
        help="NAME.conf of servers-enabled, or a/NAME for one of servers-available",
    )
    parser.add_argument("-c", "--consol", action="store_true", help="log to the screen")
    parser.add_argument("-t", "--test", action="store_true", help="only check the conf")
    parser.add_argument("--etc", help="where the confs are; else SKITAID_ETC, or /etc/skitaid")
    parser.add_argument("--var", help="where logs and pid files go; else SKITAID_VAR, or the conf")
    parser.set_defaults(etc=os.environ.get("SKITAID_ETC"), var=os.environ.get("SKITAID_VAR"))
    return parser


def _run(options: argparse.Namespace) -> int:
    paths = Paths.find(options.etc, options.var)
    conf = paths.conf(options.conf)
    if options.test:
        settings = load_server(conf, paths.run_dir(conf.stem))
        sys.stdout.write(f"{conf.name}: ok: {check.summary(settings)}\n")
        return 0
    if not options.consol:
        output.to_log(server_log(paths, conf.stem))
    return serve(conf, paths)


if __name__ == "__main__":
    sys.exit(main())
