"""`[@name]` sections: groups of servers that apps call by name."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from skitaid import conf_members
from skitaid.conf_keys import CLUSTER, fill
from skitaid.conf_lines import Line, Section
from skitaid.errors import Complaints
from skitaid.workers import settings as worker

Cluster = worker.HttpCluster | worker.DatabaseCluster


def read(sections: Iterable[Section], complaints: Complaints) -> dict[str, Cluster]:
    """The clusters by name without the @.

    A cluster with wrong members is complained about and yet returned with the right ones, so
    that routes to it are not complained about as well.
    """
    return {section.title[1:]: _cluster(section, complaints) for section in sections}


def _cluster(section: Section, complaints: Complaints) -> Cluster:
    values = fill(section, CLUSTER, complaints)
    entry = section.find("members")
    lines = entry.lines if entry else [Line(section.line, "")]
    name, where = section.title[1:], complaints.where(section.line)
    if values["type"] == "http":
        parse = partial(conf_members.http_member, default_port=443 if values["ssl"] else 80)
        members = conf_members.read(lines, parse, complaints)
        return worker.HttpCluster(name, members, values["ssl"], values["balance"], where)
    if values["ssl"]:
        # A setting that promises secrecy must not be passed over in silence.
        message = "ssl: it has no effect on connections to databases; remove this line"
        complaints.add(values.line_of("ssl"), message)
    databases = conf_members.read(lines, conf_members.database, complaints)
    return worker.DatabaseCluster(name, databases, values["balance"], where)
