"""The way to databases: the part of `was` that makes their handles."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

from skitai.collecting import Filter
from skitai.engine import DatabaseMembers, DatabaseServer, Reach
from skitai.errors import WrongUse
from skitai.handle import DEFAULT_TIMEOUT
from skitai.keeping import wanted
from skitai.request import Request
from skitai.sql_calls import SqlHandle

if TYPE_CHECKING:
    from skitai.errand import Errand
    from skitai.wasc import Wasc

PORT = 5432


class AskingDatabases:
    """Databases are asked for the sake of the request in hand; see `skitai.errand`."""

    __slots__ = ()

    if TYPE_CHECKING:
        _wasc: Wasc
        request: Request

        def _errand(self) -> Errand: ...

    def db(
        self,
        server: str,
        dbname: str = "",
        user: str = "",
        password: str = "",
        *,
        timeout: float = DEFAULT_TIMEOUT,
        filter: Filter | None = None,
        cache: float | None = None,
        stale: float = 0.0,
    ) -> SqlHandle:
        """One PostgreSQL database.

            s = was.db("127.0.0.1:5432", "mydb", "postgres", "password")
            s.execute("SELECT * FROM weather WHERE city = %s", (city,))
            result = s.getwait(timeout=2)

        server: "host:port", "host", "unix:/run/postgresql" (the directory of its socket), or
            "postgresql://user:password@host:port/dbname". "@name" is of the cluster `[@name]` the
            first member that is no replica, and takes no more.
        For the other arguments see `wget`. Raises WrongUse for what is no server.
        """
        target: DatabaseMembers | DatabaseServer
        if server.startswith("@"):
            if dbname or user or password:
                raise WrongUse(f'database and user of "{server}" are in the conf')
            target = DatabaseMembers(server[1:], Reach.FIRST)
        else:
            target = _server(server, dbname, user, password)
        return self._database(target, timeout, filter, cache, stale)

    def dlb(
        self,
        cluster: str,
        *,
        write: bool = False,
        timeout: float = DEFAULT_TIMEOUT,
        hedge: float | Literal["p95"] | None = None,
        key: str | int | bytes | None = None,
        filter: Filter | None = None,
        cache: float | None = None,
        stale: float = 0.0,
    ) -> SqlHandle:
        """One member of a cluster of databases, by load; another one if it cannot be reached.

            s = was.dlb("mydb")
            s.execute("SELECT name FROM cities")

        A statement that reads (SELECT and the like) is asked again elsewhere if its connection
        breaks; whatever else is not, once it was sent. A SELECT that calls what writes is a write.

        write: only members that are no replicas, and nothing is ever sent twice.
        hedge, key: see `lb`. For the rest see `wget`. Raises WrongUse for a hedge that is none, or
        for one together with write.
        """
        is_time = isinstance(hedge, int | float) and 0.0 <= hedge < inf
        if not (is_time or hedge is None or hedge == "p95"):
            raise WrongUse(f'hedge = {hedge!r} is neither a number of seconds nor "p95"')
        if write and hedge is not None:
            raise WrongUse("hedge sends a statement twice, which write=True rules out")
        target = DatabaseMembers(
            cluster.removeprefix("@"),
            Reach.ONE,
            write,
            hedge,
            key if key is None or isinstance(key, bytes) else str(key).encode(),
        )
        return self._database(target, timeout, filter, cache, stale)

    def dmap(
        self,
        cluster: str,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        filter: Filter | None = None,
        cache: float | None = None,
        stale: float = 0.0,
    ) -> SqlHandle:
        """All members of a cluster of databases at once: take their results with `getswait`.

            s = was.dmap("mydb")
            s.execute("SELECT name, population FROM cities")
            for result in s.getswait(timeout=2): ...

        For the arguments see `wget`.
        """
        target = DatabaseMembers(cluster.removeprefix("@"), Reach.ALL)
        return self._database(target, timeout, filter, cache, stale)

    def _database(
        self,
        target: DatabaseMembers | DatabaseServer,
        timeout: float,
        filter: Filter | None,
        cache: float | None,
        stale: float,
    ) -> SqlHandle:
        return SqlHandle(
            self._wasc.engine,
            target,
            filter,
            request=self.request,
            timeout=timeout,
            errand=self._errand(),
            keeping=wanted(cache, stale),
        )


def _server(server: str, name: str, user: str, password: str) -> DatabaseServer:
    """Raises WrongUse, without repeating what may hold a password."""
    unix, host, port = "", server, PORT
    try:
        if server.startswith(("postgresql://", "postgres://")):
            url = urlsplit(server)
            host, port = url.hostname or "", url.port or PORT
            name = name or unquote(url.path[1:])
            user = user or unquote(url.username or "")
            password = password or unquote(url.password or "")
        elif server.startswith("unix:"):
            unix, host = server.removeprefix("unix:"), ""
        else:
            url = urlsplit(f"//{server}")
            host, port = url.hostname or "", url.port or PORT
            if url.path or url.username is not None:
                raise ValueError
    except ValueError:
        raise WrongUse('a server is "host:port", "unix:/directory" or "postgresql://..."') from None
    if not (host or unix.startswith("/")):
        raise WrongUse('a server is "host:port", "unix:/directory" or "postgresql://..."')
    if not name or not user:
        raise WrongUse(
            "was.db(server, dbname, user, password): the database or the user is missing;"
            f' [@{server}] of the conf would be was.db("@{server}")'
        )
    return DatabaseServer(host, port, name, user, password, unix)
