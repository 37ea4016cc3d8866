"""`skitaid cluster`: members of clusters shown, and changed while servers run."""

from __future__ import annotations

import click
import msgspec

from skitaid import clusters
from skitaid.cli_paths import pass_paths
from skitaid.clusters_text import clusters_text
from skitaid.paths import Paths
from skitaid.status_text import console
from skitaid.workers.standing import State

STATES = {"drain": State.DRAINED, "enable": State.ENABLED, "disable": State.DISABLED}
CONF = "conf"  # in the place of a weight


@click.command("cluster")
@click.argument("name", required=False, metavar="[NAME]")
@click.argument(
    "action",
    required=False,
    type=click.Choice([*STATES, "weight"]),
    metavar="[ACTION]",
)
@click.argument("members", nargs=-1, metavar="[MEMBER]...")
@click.option("--server", metavar="SERVER", help="Only of this one. [all that run]")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@pass_paths
def cluster(
    paths: Paths,
    name: str | None,
    action: str | None,
    members: tuple[str, ...],
    server: str | None,
    as_json: bool,
) -> None:
    """Show the members of [@NAME], or of all clusters, or change them for all workers.

    drain: no new calls, those that are out are answered. disable: none at all, those that are
    out are cut off. enable: as the conf has it, and past failures are forgotten.
    weight MEMBER N: another share; weight MEMBER conf is the conf's.

    It holds until the server stops; reload and restart keep it.
    """
    if name is None or action is None:
        views = clusters.view(paths, name, server)
    elif action == "weight":
        nodes, weight = _weight(members)
        views = clusters.change(paths, name, server, nodes, weight=weight)
    else:
        if not members:
            raise click.UsageError(f"which members? skitaid cluster {name} {action} MEMBER...")
        views = clusters.change(paths, name, server, members, STATES[action])
    if as_json:
        click.echo(msgspec.json.encode(views))
    else:
        console().print(clusters_text(views))


def _weight(members: tuple[str, ...]) -> tuple[tuple[str, ...], int]:
    """The last word is the weight."""
    *nodes, last = members or ("",)
    if not nodes or not (last == CONF or (last.isdecimal() and 0 < int(last) < 10**6)):
        raise click.UsageError(
            "a weight is a whole number from 1, or conf: skitaid cluster NAME weight MEMBER... N"
            " (drain is for a member that is to get nothing)"
        )
    return tuple(nodes), 0 if last == CONF else int(last)
