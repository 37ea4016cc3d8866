"""`skitaid demo`."""

from __future__ import annotations

import click

from skitaid.demo import run as run_demo


@click.command("demo")
@click.option("--port", type=click.IntRange(1, 65532), default=5000, show_default=True)
def demo(port: int) -> None:
    """Run four servers that ask each other, until Ctrl-C, and say what to try.

    The web server is at PORT, the three members that it asks at the three ports after it.
    """
    click.get_current_context().exit(run_demo(port))
