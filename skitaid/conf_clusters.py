"""`[@name]` sections: groups of servers that apps call by name."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from skitaid import certs, conf_databases, conf_members
from skitaid.conf_keys import CLUSTER, Values, fill
from skitaid.conf_lines import Line, Section
from skitaid.errors import Complaints
from skitaid.workers import settings as worker

_OF_TLS = ("cafile", "certfile", "passphrase", "verify")
_HTTP_ONLY = (
    *("check", "dns_every", "read_timeout", "max_response_size"),
    *("certfile", "passphrase", "verify", "keep_prefix", "keep_host", "sticky"),
    *("proxy_timeout", "tunnel_timeout", "max_request_size", "cache"),
)
_DATABASE_ONLY = (
    *("min_connections", "wait_timeout", "idle_timeout", "max_lifetime"),
    *("pooler", "passfile"),
)

Cluster = worker.HttpCluster | worker.DatabaseCluster


def read(
    sections: Iterable[Section], certificates: Path, processes: int, complaints: Complaints
) -> dict[str, Cluster]:
    """The clusters by name without the @. certificates: where their files are looked up.

    A cluster with wrong members is complained about and yet returned with the right ones, so
    that routes to it are not complained about as well.
    """
    return {
        section.title[1:]: _cluster(section, certificates, processes, complaints)
        for section in sections
    }


def _cluster(
    section: Section, certificates: Path, processes: int, complaints: Complaints
) -> Cluster:
    values = fill(section, CLUSTER, complaints)
    entry = section.find("members")
    lines = entry.lines if entry else [Line(section.line, "")]
    name, where = section.title[1:], complaints.where(section.line)
    if values["type"] != "http":
        for key in _HTTP_ONLY:
            # A setting that promises secrecy, or else, must not be passed over in silence.
            if key in values.lines and values[key]:
                message = f"{key}: it has no effect on connections to databases; remove this line"
                complaints.add(values.line_of(key), message)
        databases = conf_members.read(lines, conf_members.database, complaints)
        return conf_databases.cluster(
            name, databases, where, values, certificates, processes, complaints
        )
    for key in _DATABASE_ONLY:
        if key in values.lines:
            message = f"{key}: it is for databases, that is, for type = postgresql"
            complaints.add(values.line_of(key), message)
    if values["ssl"] == "verify-full":
        message = "ssl: verify-full is for databases; yes verifies certificates too"
        complaints.add(values.line_of("ssl"), message)
    parse = partial(conf_members.http_member, default_port=443 if values["ssl"] else 80)
    members = conf_members.read(lines, parse, complaints)
    return worker.HttpCluster(
        name,
        members,
        tls=bool(values["ssl"]),
        balance=values["balance"],
        where=where,
        hedge=values["hedge"],
        max_connections=values["max_connections"],
        check=values["check"],
        limits=worker.ClientLimits(
            values["connect_timeout"], values["read_timeout"], values["max_response_size"]
        ),
        trust=_trust(values, certificates, complaints),
        dns_every=_dns_every(values, members, complaints),
        passing=_passing(values),
    )


def _dns_every(values: Values, members: tuple[worker.Member, ...], complaints: Complaints) -> float:
    if "dns_every" in values.lines and not any(each.dns for each in members):
        message = "dns_every: it has no effect without a member like dns:name:port"
        complaints.add(values.line_of("dns_every"), message)
    return float(values["dns_every"])


def _passing(values: Values) -> worker.Passing:
    return worker.Passing(
        keep_prefix=values["keep_prefix"],
        keep_host=values["keep_host"],
        sticky=values["sticky"],
        timeout=values["proxy_timeout"],
        tunnel_timeout=values["tunnel_timeout"],
        max_request_size=values["max_request_size"],
        cache=values["cache"],
    )


def _trust(values: Values, certificates: Path, complaints: Complaints) -> worker.ClientTls:
    if not values["ssl"]:
        for key in _OF_TLS:
            if key in values.lines:
                message = f"{key}: it has no effect without ssl = yes in the same section"
                complaints.add(values.line_of(key), message)
        return worker.ClientTls()
    return certs.of_members(values, certificates, complaints)
