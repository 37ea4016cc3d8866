"""The demo: a fleet of four servers in a temporary home, in the foreground until Ctrl-C.

One web server asks three others, the members of `[@mysearch]`. The apps are those of the
package's `examples/demo`, so they can be read and changed where they stand.
"""

from __future__ import annotations

import os
import secrets
import shlex
import sys
import tempfile
import threading
from importlib import resources
from pathlib import Path

import click
import msgspec

from skitaid import demo_databases
from skitaid.demo_databases import Databases
from skitaid.errors import SkitaidError
from skitaid.fleet import command
from skitaid.fleet.records import FleetStatus
from skitaid.paths import Paths
from skitaid.start_text import down_text
from skitaid.status import ServerView, servers_view
from skitaid.supervisor.listeners import CannotListen, listen
from skitaid.supervisor.notify import Notify

HOST = "127.0.0.1"
MEMBERS = ("s1", "s2", "s3")

_WEB = """\
[server]
ip = {host}
port = {port}
processes = 2
threads = 4
admin_password = {password}

[routes:line]
/ = {apps}/static
/ = {apps}/webapp

[@mysearch]
members = {members}
{databases}"""

_DATABASES = """
[@mydb]
type = postgresql
members = {members}
"""

_MEMBER = """\
[server]
ip = {host}
port = {port}

[routes:line]
/ = {apps}/member
"""

_TEXT = """
Four servers run: web asks {members}. From another terminal:

  a page, also in a browser at http://localhost:{port}/
    curl -s localhost:{port}/hello

  the same function by XML-RPC
    python3 -c "import xmlrpc.client as x; print(x.ServerProxy('http://{host}:{port}/RPC2').hello())"

  map-reduce: all three members at once, their answers merged
    curl -s 'localhost:{port}/search?keyword=Beethoven'

{databases}  the status page: sign in as admin, with the password {password}
    http://localhost:{port}/skitai/status

  kill a member's worker, then stop its master, and search again; or just stop it
    kill -9 {worker}; kill {master}
    {skitaid} stop s2

  bring it back, and see how all are
    {skitaid} start s2
    {skitaid} status

The apps are in {apps}
Ctrl-C stops all.
"""

_TEXT_OF_DATABASES = """\
  three databases at once, and one of them, by load
    curl -s 'localhost:{port}/query?keyword=a'
    curl -s localhost:{port}/cities

"""

_NO_DATABASES = """\
  three databases, too, if there is a PostgreSQL to start
    {why}

"""


def run(port: int) -> int:
    """Run the demo until Ctrl-C; the web server on `port`, the members on the three after it.

    Raises SkitaidError if a port is taken.
    """
    ports = range(port, port + 1 + len(MEMBERS))
    _check_ports(ports)
    password = secrets.token_hex(4)
    with tempfile.TemporaryDirectory(prefix="skitai-demo-") as home, demo_databases.running() as db:
        paths = _lay_out(Path(home), ports, db, password)
        reader, writer = os.pipe()
        news = (reader, paths, port, db, password)
        threading.Thread(target=_announce, args=news, daemon=True).start()
        return command.run(paths, Notify(writer))


def _check_ports(ports: range) -> None:
    for port in ports:
        try:
            listen(HOST, port).close()
        except CannotListen as error:
            raise SkitaidError(
                f"{error}\nThe demo needs four free ports, {ports[0]} to {ports[-1]};"
                " name the first of another four: skitaid demo --port 6000"
            ) from None


def _lay_out(home: Path, ports: range, db: Databases, password: str) -> Paths:
    enabled = home / "etc" / "skitaid" / "servers-enabled"
    enabled.mkdir(parents=True)
    apps = _apps()
    members = ", ".join(f"{HOST}:{port}" for port in ports[1:])
    (enabled.parent / "skitaid.conf").write_text("[global]\nvar_path = var\n")
    databases = _DATABASES.format(members=", ".join(db.members)) if db.members else ""
    web = _WEB.format(
        host=HOST,
        port=ports[0],
        password=password,
        apps=apps,
        members=members,
        databases=databases,
    )
    (enabled / "web.conf").write_text(web)
    for name, port in zip(MEMBERS, ports[1:], strict=True):
        conf = _MEMBER.format(host=HOST, port=port, apps=apps)
        (enabled / f"{name}.conf").write_text(conf)
    return Paths.find(str(home))


def _apps() -> Path:
    return Path(str(resources.files("skitaid") / "examples" / "demo")).resolve()


def _announce(reader: int, paths: Paths, port: int, db: Databases, password: str) -> None:
    """In a thread of its own: print what to try when the fleet says that all is up."""
    with open(reader, encoding="utf-8") as pipe:
        line = pipe.readline()
    if line:
        views = servers_view(paths, msgspec.json.decode(line, type=FleetStatus))
        servers = {server.name: server for server in views}
        click.echo(_text(paths, port, servers, db, password))


def _text(
    paths: Paths, port: int, servers: dict[str, ServerView], db: Databases, password: str
) -> str:
    down = [down_text(server) for server in servers.values() if server.state != "running"]
    if down:
        return "\n".join(["The demo is not complete:", *down, "Ctrl-C stops what runs."])
    member = servers["s2"]
    home = paths.etc.parent.parent
    return _TEXT.format(
        host=HOST,
        port=port,
        password=password,
        members=", ".join(MEMBERS),
        worker=member.workers[0].pid,
        master=member.pid,
        skitaid=shlex.join([sys.argv[0], "--etc", str(home)]),
        apps=_apps(),
        databases=_TEXT_OF_DATABASES.format(port=port)
        if db.members
        else _NO_DATABASES.format(why=db.why_not),
    )
