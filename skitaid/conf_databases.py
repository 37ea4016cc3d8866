"""`[@name]` sections with `type = postgresql`: what binds several of their keys together.

`max_connections` is what one server has to bear from all workers together. Each worker gets its
share of it, and its members on one server share that.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from skitaid import certs
from skitaid.conf_keys import Values
from skitaid.errors import Complaints
from skitaid.workers import settings as worker

_MODES: dict[object, str] = {False: "prefer", True: "require", "verify-full": "verify-full"}


def cluster(
    name: str,
    members: tuple[worker.Database, ...],
    where: str,
    values: Values,
    certificates: Path,
    processes: int,
    complaints: Complaints,
) -> worker.DatabaseCluster:
    """One section. certificates: where relative names of files start."""
    limits = worker.DatabaseLimits(
        connections=_share(members, values, processes, complaints),
        connections_min=values["min_connections"],
        connect_timeout=values["connect_timeout"],
        wait_timeout=values["wait_timeout"],
        idle_timeout=values["idle_timeout"],
        max_lifetime=values["max_lifetime"],
    )
    if limits.connections_min > limits.connections:
        message = (
            f"min_connections: one worker may have {limits.connections} connections to a member,"
            " its share of max_connections"
        )
        complaints.add(values.line_of("min_connections"), message)
    return worker.DatabaseCluster(
        name,
        members,
        values["balance"],
        where,
        hedge=values["hedge"],
        max_connections=max_connections(values),
        limits=limits,
        access=_access(values, certificates, complaints),
    )


def max_connections(values: Values) -> int:
    """To one server from all workers; databases have a default of their own."""
    written: int = values["max_connections"]
    return written if "max_connections" in values.lines else worker.DATABASE_CONNECTIONS


def _share(
    members: tuple[worker.Database, ...], values: Values, processes: int, complaints: Complaints
) -> int:
    """Connections of one worker to one member."""
    servers = Counter((each.host, each.port, each.unix) for each in members)
    crowd = max(servers.values(), default=1)
    whole = max_connections(values)
    share = whole // (processes * crowd)
    if not share and "max_connections" in values.lines:
        message = (
            f"max_connections: {whole} are too few for {processes} workers and {crowd} members on"
            " one server, each of which needs one"
        )
        complaints.add(values.line_of("max_connections"), message)
    return max(1, share)


def _access(values: Values, certificates: Path, complaints: Complaints) -> worker.DatabaseAccess:
    tls = _MODES[values["ssl"]]
    cafile = ""
    if values["cafile"]:
        if tls == "verify-full":
            cafile = certs.of_members(values, certificates, complaints).cafile
        else:
            message = "cafile: it has no effect without ssl = verify-full in the same section"
            complaints.add(values.line_of("cafile"), message)
    passfile = str(certificates.parent / values["passfile"]) if values["passfile"] else ""
    if passfile:
        _check_passfile(passfile, values.line_of("passfile"), complaints)
    return worker.DatabaseAccess(tls, cafile, passfile, values["pooler"] == "transaction")


def _check_passfile(passfile: str, line: int, complaints: Complaints) -> None:
    """libpq passes over a file that others may read, and only says so on stderr."""
    if not Path(passfile).is_file():
        complaints.add(line, f"passfile: there is no file {passfile}")
    elif Path(passfile).stat().st_mode & 0o077:
        message = (
            f"passfile: others than its owner may read or write {passfile}, so it would not be"
            f" used: chmod 600 {passfile}"
        )
        complaints.add(line, message)
