"""How a member is reached and who we are there: passwords, password files, sockets, URLs, TLS.

One PostgreSQL that wants passwords, and one server whose conf has each way as a cluster. The
wheel's is built without OpenSSL, so the system's is taken if there is one; else TLS is skipped.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import trustme
from operator_session import Home
from postgres import private
from served import Server

from skitaid.embedded_postgres import EmbeddedPostgres

APP = """
import json

from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/ask")
def ask(was, name, sql):
    s = was.db("@" + name)
    s.execute(sql)
    rs = s.getwait(10)
    return json.dumps([int(rs.status), rs.code, rs.msg, [dict(row) for row in rs.data]])


@app.route("/status")
def status(was):
    return {"clusters": {name: was.clusters[name].status() for name in CLUSTERS}}
"""
RULES = """\
local all postgres trust
local all all scram-sha-256
host all postgres 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
"""
SECRET = "s3cret:with:signs"
QUOTED = "s3cret%3Awith%3Asigns"
WRONG = "hunter2"
BIN = max(Path("/usr/lib/postgresql").glob("*/bin/postgres"), default=None)

needs_tls = pytest.mark.skipif(
    BIN is None,
    reason="the wheel's PostgreSQL is built without OpenSSL, and the system has none either",
)


@dataclass
class Town:
    server: Server
    postgres: EmbeddedPostgres

    def ask(self, name: str, sql: str = "SELECT current_user::text AS me") -> Any:
        """[status, code, msg, rows] of a statement for a cluster."""
        reply = self.server.get(f"/ask?{urlencode({'name': name, 'sql': sql})}")
        assert reply.status == 200, reply.text
        return json.loads(reply.text)


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    """It wants a password of everybody but postgres, and has TLS if it can."""
    with private(programs=BIN.parent if BIN else None) as server:
        data = server.directory / "data"
        (data / "pg_hba.conf").write_text(RULES)
        server.execute(f"CREATE ROLE strict LOGIN PASSWORD '{SECRET}'")
        if BIN is not None:
            trusted = trustme.CA()
            issued = trusted.issue_cert("localhost", "127.0.0.1")
            trusted.cert_pem.write_to_path(server.directory / "ca.pem")
            issued.cert_chain_pems[0].write_to_path(data / "server.crt")
            _write_for(data, "server.key", issued.private_key_pem.bytes())
            server.execute("ALTER SYSTEM SET ssl = on")
        server.execute("SELECT pg_reload_conf()")
        yield server


def _write_for(data: Path, name: str, text: bytes) -> None:
    """A file of the server's user, that nobody else reads."""
    path = data / name
    path.touch(0o600)
    path.write_bytes(text)
    owner = data.stat()
    os.chown(path, owner.st_uid, owner.st_gid)


@pytest.fixture(scope="module")
def town(postgres: EmbeddedPostgres, shared_home: Home) -> Iterator[Town]:
    etc, port = shared_home.etc, postgres.port
    passwords = f"127.0.0.1:{port}:postgres:strict:{SECRET.replace(':', chr(92) + ':')}\n"
    for name, text in (("pgpass", passwords), ("pgpass.other", f"elsewhere:1:a:b:{SECRET}\n")):
        (etc / name).touch(0o600)
        (etc / name).write_text(text)
    socket = postgres.directory / "5432"  # a member by socket is at this port
    socket.mkdir()
    (socket / ".s.PGSQL.5432").symlink_to(postgres.directory / f".s.PGSQL.{port}")
    place = f"127.0.0.1:{port}/postgres/strict"
    clusters = {
        "right": [f"{place}/{SECRET}"],
        "wrong": [f"{place}/{WRONG}"],
        "none": [f"{place}/"],
        "file": [f"{place}/", "passfile = pgpass"],
        "otherfile": [f"{place}/", "passfile = pgpass.other"],
        "socket": [f"unix:{socket}/postgres/strict/{SECRET}"],
        "wrongsocket": [f"unix:{socket}/postgres/strict/{WRONG}"],
        "url": [f"postgresql://strict:{QUOTED}@127.0.0.1:{port}/postgres"],
        "socketurl": [f"postgresql://strict:{QUOTED}@/postgres?host={socket}"],
        "tls": [f"{place}/{SECRET}", "ssl = yes"],
    }
    if BIN is not None:
        shutil.copy(postgres.directory / "ca.pem", etc / "cert" / "ca.pem")
        trustme.CA().cert_pem.write_to_path(etc / "cert" / "wrong.pem")
        clusters["verified"] = [f"{place}/{SECRET}", "ssl = verify-full", "cafile = ca.pem"]
        clusters["wrongca"] = [f"{place}/{SECRET}", "ssl = verify-full", "cafile = wrong.pem"]
        clusters["system"] = [f"{place}/{SECRET}", "ssl = verify-full"]
    sections = "".join(
        "\n".join((f"[@{name}]", "type = postgresql", f"members = {member}", *more)) + "\n"
        for name, (member, *more) in clusters.items()
    )
    app = APP.replace("CLUSTERS", repr(list(clusters)))
    server = shared_home.serve("db", apps={"webapp.py": app}, sections=sections)
    yield Town(server, postgres)
    for secret in (SECRET, QUOTED, WRONG):  # neither in the status nor in what is logged
        assert secret not in server.get("/status").text
    assert server.stop() == 0
    for secret in (SECRET, QUOTED, WRONG):
        assert secret not in server.log()


# what goes wrong


@pytest.mark.parametrize("name", ["wrong", "wrongsocket"])
def test_wrong_password(town: Town, name: str) -> None:
    """Status 0 with its SQLSTATE and what the server says, without the password."""
    status, code, msg, _ = town.ask(name)
    assert (status, code) == (0, "28P01")
    assert 'password authentication failed for user "strict"' in msg
    assert WRONG not in msg


@pytest.mark.parametrize("name", ["none", "otherfile"])
def test_no_password(town: Town, name: str) -> None:
    """A member without one, and a file that has none for it: told as such."""
    status, code, msg, _ = town.ask(name)
    assert (status, code) == (0, "28P01")
    assert "no password supplied" in msg


def test_password_file_that_others_read(home: Home) -> None:
    """It would be passed over, so the conf is refused at its line."""
    (home.etc / "pgpass").write_text(f"*:*:*:*:{SECRET}\n")
    (home.etc / "pgpass").chmod(0o640)
    home.write_app("webapp.py", APP)
    home.write_conf(
        "db",
        sections="[@file]\ntype = postgresql\nmembers = 127.0.0.1/a/b/\npassfile = pgpass\n",
    )
    checked = home.run("check", "db")
    said = checked.out + checked.err
    assert checked.code != 0
    assert "passfile: others than its owner may read or write" in said
    assert SECRET not in said


@needs_tls
@pytest.mark.parametrize("name", ["wrongca", "system"])
def test_certificate_of_an_unknown_authority(town: Town, name: str) -> None:
    """Status 0, and the sentence is of the certificate."""
    status, _, msg, _ = town.ask(name)
    assert status == 0
    assert "certificate verify failed" in msg
    assert SECRET not in msg


@pytest.mark.skipif(BIN is not None, reason="this PostgreSQL can speak TLS")
def test_server_without_tls(town: Town) -> None:
    """`ssl = yes` goes nowhere without TLS."""
    status, _, msg, _ = town.ask("tls")
    assert status == 0
    assert "server does not support SSL" in msg


# what works


@pytest.mark.parametrize("name", ["right", "file", "url"])
def test_password_is_taken(town: Town, name: str) -> None:
    """From the member, from a password file below the confs, from a URL where it is quoted."""
    assert town.ask(name)[3] == [{"me": "strict"}]


@pytest.mark.parametrize("name", ["socket", "socketurl"])
def test_member_by_socket(town: Town, name: str) -> None:
    """Both forms come by the file, not by TCP."""
    sql = "SELECT current_user::text AS me, inet_server_addr() IS NULL AS is_local"
    assert town.ask(name, sql)[3] == [{"me": "strict", "is_local": True}]


@needs_tls
@pytest.mark.parametrize("name", ["tls", "verified", "right"])
def test_tls(town: Town, name: str) -> None:
    """Asked for, verified, or only taken because the server offers it: nothing goes in clear."""
    sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    assert town.ask(name, sql)[3] == [{"ssl": True}]
