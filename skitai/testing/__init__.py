"""Calls an app without a server, for its tests.

    from skitai.testing import Client

    def test_search():
        with Client(app, clusters={"mysearch": [["Requiem"], TimeoutError()]}) as client:
            assert client.get("/search?keyword=Mozart").json() == ["Requiem"]

Routing, arguments, hooks, cookies, sessions, error pages and calls to other servers are the ones
of the server; what needs one is not here: files of its routes, its other apps, compression, limits.
"""

from .client import Client
from .exchange import Member, SqlError
from .jar import Jar
from .reply import Reply
from .script import Asked, Cluster, NotScripted, Web

__all__ = ["Asked", "Client", "Cluster", "Jar", "Member", "NotScripted", "Reply", "SqlError", "Web"]
