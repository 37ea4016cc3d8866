"""Requesting HTTP(S) and RPC, Map-Filter-Reduce, Load-Balancing."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from readme_apps import Serve, section
from served import Server


@pytest.fixture
def server(serve: Serve, members: list[Server]) -> Server:
    sections = section("myrpcs", members) + "\n" + section("mysearch", members, "ssl = no")
    return serve("/ = {app}/asking", sections=sections)


def test_wget_and_rpc(server: Server, members: list[Server]) -> None:
    """A page, a form, a remote procedure."""
    base = f"http://127.0.0.1:{members[0].port}"

    page = server.get("/test/wget?url=" + quote(f"{base}/page")).text
    assert page == "<pre>&lt;h1>Python&lt;/h1></pre>"
    posted = server.get("/test/post?url=" + quote(f"{base}/form")).json()
    assert posted == {"cid": "555", "cname": "Skitai Corp"}
    assert server.get("/test/rpc?url=" + quote(f"{base}/rpc2")).text == "no Beethoven"


def test_upload(server: Server, members: list[Server], tmp_path: Path) -> None:
    """A form with a file, opened as the README does."""
    logo = tmp_path / "logo.gif"
    logo.write_bytes(b"GIF89a\xff\x00" * 50_000)
    url = f"http://127.0.0.1:{members[0].port}/upload"

    told = server.get(f"/test/upload?url={quote(url)}&logo={quote(str(logo))}").json()
    assert told == ["555", "Skitai Corp", "logo.gif", "image/gif", 400_000]


def test_wget_of_nobody(server: Server) -> None:
    """The handler returns nothing then, which is its mistake: the log names it."""
    assert server.get("/test/wget?url=http://127.0.0.1:1/").status == 500
    assert "asking.wget returned NoneType" in server.wait_log("NoneType")


def test_map_reduce(server: Server) -> None:
    """Five numbers of each member."""
    told = server.get("/test/map").json()

    assert len(told["numbers"]) == 15
    assert told["sum"] == sum(told["numbers"])


def test_map_filter_reduce(server: Server, members: list[Server]) -> None:
    """The filter sees each result as it comes, also that of a member that has failed."""
    assert members[2].stop() == 0
    told = server.get("/test/filter").json()

    assert all(number < 10 for number in told["numbers"])
    assert told["sum"] == sum(told["numbers"])


def test_load_balancing(server: Server, members: list[Server]) -> None:
    """One member answers; when it is gone, another."""
    assert server.get("/search").json()[0].startswith("Mozart at ")
    for member in members[:2]:
        assert member.stop() == 0

    assert [server.get("/search").json() for _ in range(4)] == [
        [f"Mozart at {members[2].port}"]
    ] * 4
