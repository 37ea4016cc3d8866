"""`skitaid cert`: certificates for HTTPS."""

from __future__ import annotations

from pathlib import Path

import click

from skitaid.cert_new import new as new_certificate
from skitaid.cert_show import show as show_certificate
from skitaid.cli_paths import pass_paths
from skitaid.paths import Paths


@click.group("cert")
def cert() -> None:
    """Certificates for HTTPS: make them, look at them."""


@cert.command("new")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, resolve_path=True),
    help="Where to write. [cert, beside servers-enabled]",
)
@click.option("--days", type=click.IntRange(1, 825), default=365, show_default=True)
@pass_paths
def cert_new(paths: Paths, names: tuple[str, ...], directory: Path | None, days: int) -> None:
    """Make a certificate for the hosts NAME..., and first a private authority if there is none.

    For machines of your own: clients must be told to believe the authority, ca.pem. Again for the
    same names it makes a fresh one in its place.
    """
    made = new_certificate(directory or paths.etc / "cert", names, days)
    if made.is_new_authority:
        click.echo(f"made {made.authority}, which clients have to believe, and its key beside it")
    click.echo(f"made {made.file}, for {', '.join(names)}, {days} days")
    click.echo(f"In the conf: ssl = yes, and certfile = {made.file.name} in [certification]")


@cert.command("show")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@pass_paths
def cert_show(paths: Paths, file: Path) -> None:
    """Tell for which hosts and until when the certificates in FILE are.

    A name that is no file here is looked up beside servers-enabled, in cert.
    """
    click.echo(show_certificate(file if file.exists() else paths.etc / "cert" / file))
