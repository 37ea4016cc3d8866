"""What stands in `members`: text in, the servers of a cluster out.

    HTTP        host[:port][ weight]                     port 80, with ssl 443
                [2001:db8::1]:5000                       an IPv6 address is in brackets
                unix:/run/app.sock[ weight]
                dns:name:port[ weight]               all addresses of the name, at any moment
    PostgreSQL  host[:port]/db/user/password[ weight][ role]    port 5432
                postgresql://user:password@host:port/db[ weight][ role]
                postgresql://user@/db?host=/run/postgresql     the directory of the socket
                unix:/run/postgresql/db/user/password          the same, in the short form

Members are separated by commas or line ends. In the short PostgreSQL form the password goes
up to the end and may contain `/` and `:`, but no comma or blank; in the URL form any
character can be written as `%2C`. The weight is a whole number, 1 if left out; the role is
`primary`, which is what a member without one is, or `replica`.

Everything raises `ValueError`. As a part of a member may be a password, even in a cluster of
which somebody forgot to write `type = postgresql`, messages never show any part of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from skitaid import conf_values
from skitaid.conf_lines import Line
from skitaid.errors import Complaints
from skitaid.workers import settings as worker

POSTGRESQL_PORT = 5432
_URL_SCHEMES = ("postgresql://", "postgres://")
_ROLES = ("primary", "replica")
_UNIX = re.compile(r"unix:(/.+?)/([^/]+)/([^/]+)/([^/]*)")
_ADDRESS = re.compile(r"[0-9.]+")
_WEIGHT = re.compile(r"[1-9][0-9]{0,5}")

T = TypeVar("T", worker.Member, worker.Database)


def read(lines: list[Line], parse: Callable[[str], T], complaints: Complaints) -> tuple[T, ...]:
    """The members in their order; whatever is wrong is complained about at its line."""
    members: list[T] = []
    pieces = _split(lines)
    if not pieces:
        complaints.add(lines[0].number, "members: there are none; write at least one server")
    for count, (number, text) in enumerate(pieces, start=1):
        try:
            member = parse(text)
        except ValueError as error:
            complaints.add(number, f"members: number {count}: {error}")
            continue
        if any(replace(member, weight=other.weight) == other for other in members):
            message = f"members: number {count} is listed twice; give it a weight instead"
            complaints.add(number, message)
        members.append(member)
    return tuple(members)


def http_member(text: str, default_port: int) -> worker.Member:
    """One member of an HTTP cluster."""
    address, weight = _weight(text)
    if address.startswith("unix:"):
        return worker.Member("", 0, weight, unix=_absolute(address.removeprefix("unix:")))
    if address.startswith("dns:"):
        return _by_dns(address.removeprefix("dns:"), weight)
    if address.startswith(("http://", "https://")):
        raise ValueError("it is a URL; write host:port, and ssl = yes in the section for https")
    if "/" in address or "@" in address:
        raise ValueError(
            "it is not of the form host:port (databases want type = postgresql in their section)"
        )
    host, port = _host_and_port(address, default_port)
    return worker.Member(host, port, weight)


def _by_dns(address: str, weight: int) -> worker.Member:
    """A port is asked for, since a forgotten one would be 80 for a whole group of servers."""
    name, colon, port = address.rpartition(":")
    if not colon:
        raise ValueError("it is not of the form dns:name:port")
    if ":" in name or name.startswith("[") or _ADDRESS.fullmatch(name):
        raise ValueError("behind dns: stands a name that is looked up, not an address")
    return worker.Member(_host(name), _port(port), weight, dns=True)


def database(text: str) -> worker.Database:
    """One member of a PostgreSQL cluster, in the short form or as a URL."""
    text, is_replica = _role(text)
    address, weight = _weight(text)
    is_url = address.lower().startswith(_URL_SCHEMES)
    member = _from_url(address) if is_url else _from_path(address)
    return replace(member, weight=weight, is_replica=is_replica)


def _role(text: str) -> tuple[str, bool]:
    """(the rest, whether it is a replica)"""
    rest, _, last = text.rpartition(" ")
    if rest and last in _ROLES:
        return rest.strip(), last == "replica"
    return text, False


def _split(lines: list[Line]) -> list[Line]:
    """One line for each member. An environment variable may have brought in more line ends."""
    pieces = ((line.number, piece) for line in lines for piece in re.split(r"[,\n]", line.text))
    return [Line(number, piece.strip()) for number, piece in pieces if piece.strip()]


def _weight(text: str) -> tuple[str, int]:
    address, *rest = text.split()
    if not rest:
        return address, 1
    if len(rest) > 1 or not _WEIGHT.fullmatch(rest[0]):
        raise ValueError("only a weight, a whole number from 1, may follow after a blank")
    return address, int(rest[0])


def _from_path(address: str) -> worker.Database:
    if address.startswith("unix:"):
        found = _UNIX.fullmatch(address)
        if found is None:
            raise ValueError("it is not of the form unix:/directory/db/user/password")
        return worker.Database("", POSTGRESQL_PORT, found[2], found[3], found[4], unix=found[1])
    parts = address.split("/", 3)
    if len(parts) < 4 or not parts[1] or not parts[2]:
        raise ValueError("it is not of the form host:port/db/user/password")
    server, name, user, password = parts
    host, port = _host_and_port(server, POSTGRESQL_PORT)
    return worker.Database(host, port, name, user, password)


def _from_url(address: str) -> worker.Database:
    try:
        url = urlsplit(address)
        host, port = url.hostname or "", url.port or POSTGRESQL_PORT
        options = dict(parse_qsl(url.query, strict_parsing=True)) if url.query else {}
    except ValueError:  # its text quotes the URL
        raise ValueError(
            "its URL is not of the form postgresql://user:password@host:port/db;"
            " write / ? # @ : and % in a password as %2F %3F %23 %40 %3A %25"
        ) from None
    directory = options.pop("host", "")
    if options:
        raise ValueError("the only option that its URL may have is host, a socket's directory")
    name, user, password = (
        unquote(part or "") for part in (url.path[1:], url.username, url.password)
    )
    if not name or not user or "/" in name:
        raise ValueError("its URL names no database or no user")
    if directory:
        return worker.Database("", port, name, user, password, unix=_absolute(directory))
    return worker.Database(_host(host), port, name, user, password)


def _host_and_port(address: str, default_port: int) -> tuple[str, int]:
    host, bracket, rest = address.removeprefix("[").partition("]")
    if bool(bracket) != address.startswith("["):
        raise ValueError("its brackets do not match")
    if not bracket:
        host, colon, port = address.partition(":")
        if ":" in port:
            raise ValueError("put an IPv6 address in brackets")
    else:
        colon, port = rest[:1], rest[1:]
        if ":" not in host or colon not in ("", ":"):
            raise ValueError("brackets are for an IPv6 address, then a colon and the port")
    return _host(host), _port(port) if colon else default_port


def _host(text: str) -> str:
    try:
        return conf_values.host(text)
    except ValueError:
        raise ValueError("its host is neither a host name nor an IP address") from None


def _port(text: str) -> int:
    try:
        return conf_values.port(text)
    except ValueError:
        raise ValueError("its port is not a number from 1 to 65535") from None


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError("the path of its socket does not begin with /")
    return path
