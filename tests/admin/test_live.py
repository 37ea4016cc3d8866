"""The status page while somebody looks: one who asks for all who watch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import imagined_status
import msgspec
import pytest

from skitaid.workers.admin import live
from skitaid.workers.admin.document import Status
from skitaid.workers.admin.live import Live
from skitaid.workers.admin.page import Page
from skitaid.workers.admin.parts import Changes


class Server:
    """Gives documents that differ; one is not made before it is let go."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_broken = False
        self._news = asyncio.Condition()
        self.live = Live(asyncio.get_running_loop(), self.status, Page("/skitai").parts)

    async def status(self) -> Status:
        self.asked += 1
        if self.is_broken:
            raise ValueError("no document")
        async with self._news:
            self._news.notify_all()
        return imagined_status.status(tick=self.asked)

    async def was_asked(self, times: int) -> None:
        async with self._news:
            await self._news.wait_for(lambda: self.asked >= times)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "EVERY", 0.01)


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60.0):
            await coroutine

    asyncio.run(bounded())


def test_the_first_message_is_all_and_the_others_what_has_changed() -> None:
    """So it does not matter what a page has shown before its stream began."""

    async def watch() -> None:
        viewer = Server().live.watch()
        assert await anext(viewer) == b"retry: 2000\n\n"
        first, second = parts(await anext(viewer)), parts(await anext(viewer))
        assert {"head", "workers", "routes", "server"} < first.keys()
        assert "workers" not in second
        assert second["worker-0"] == {
            8: '<td class="n">11</td>',
            12: '<td class="n">301,120</td>',
        }
        await viewer.aclose()

    run(watch())


def test_nobody_asks_while_nobody_looks() -> None:
    """The last viewer who leaves ends it, the next one begins it again."""

    async def come_and_go() -> None:
        server = Server()
        for _ in range(2):
            viewers = [server.live.watch() for _ in range(3)]
            for each in viewers:
                await read(each)
            for each in viewers:
                await each.aclose()
            (updating,) = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.wait([updating])
            assert updating.cancelled()

    run(come_and_go())


def test_one_asks_for_all() -> None:
    """However many look, the document is made as often as for one, and the message once."""

    async def look() -> None:
        server = Server()
        viewers = [server.live.watch() for _ in range(10)]
        firsts = await asyncio.gather(*(read(each) for each in viewers))
        assert server.asked == 1
        assert {id(each) for each in firsts} == {id(firsts[0])}
        for each in viewers:
            await each.aclose()

    run(look())


def test_who_reads_slowly_is_sent_what_has_changed_since() -> None:
    """Documents in between are not kept for anybody."""

    async def lag() -> None:
        server = Server()
        viewer = server.live.watch()
        await read(viewer)
        await server.was_asked(6)
        late = parts(await anext(viewer))
        shown = PAGE_OF[server.asked]
        assert late["head"] in {PAGE_OF[server.asked - 1], shown}
        await viewer.aclose()

    run(lag())


def test_viewers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as there may be; one who leaves makes room."""
    monkeypatch.setattr(live, "VIEWERS_MAX", 2)

    async def crowd() -> None:
        server = Server()
        viewers = [server.live.watch() for _ in range(2)]
        assert not server.live.is_full
        for each in viewers:
            await read(each)
        assert server.live.is_full
        await viewers[0].aclose()
        assert not server.live.is_full
        await viewers[1].aclose()

    run(crowd())


def test_a_document_that_cannot_be_made_ends_the_streams(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged once for all, and who comes again may be luckier."""

    async def fail() -> None:
        server = Server()
        viewers = [server.live.watch() for _ in range(3)]
        for each in viewers:
            await read(each)
        server.is_broken = True
        for each in viewers:
            async for _ in each:
                pass
        server.is_broken = False
        again = server.live.watch()
        assert parts(await read(again))
        await again.aclose()

    with caplog.at_level(logging.ERROR):
        run(fail())
    assert [each.message for each in caplog.records] == [
        "the status page cannot be brought up to date"
    ]


async def read(viewer: AsyncIterator[bytes]) -> bytes:
    """The first message."""
    await anext(viewer)
    return await anext(viewer)


def parts(event: bytes) -> Changes:
    assert event.startswith(b"event: parts\ndata: ")
    assert event.endswith(b"\n\n")
    return msgspec.json.decode(event.partition(b"data: ")[2], type=Changes)


class _Heads(dict[int, str]):
    def __missing__(self, tick: int) -> str:
        return Page("/skitai").parts(imagined_status.status(tick=tick))["head"].html


PAGE_OF = _Heads()
