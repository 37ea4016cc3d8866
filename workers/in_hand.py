"""The requests in hand, and what each one is doing: for who asks why nothing moves.

Nothing is noted down for this while requests are served. It is all found when asked for, by
reading the frames of the threads and tasks: the frame of `WebCall.run` knows its request (so does
`JobSource.run` or `Pump.pump` of a streamed response), and one of `HandlerThreads.park` further
in knows the call that is waited for. Runs on any thread, the watchdog's above all, while the
others go on: what it finds may be over by the time it is told.
"""

from __future__ import annotations

import asyncio
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from types import CodeType, CoroutineType, FrameType
from typing import Any

import msgspec

from skitai.engine import Bundle, Call
from skitai.request import Request

from .engine import WorkerEngine
from .threads import HandlerThreads
from .web.call import RpcCall, WebCall
from .web.job_source import JobSource
from .web.pump import Pump

LISTED_MAX = 100  # requests in one entry of the log

_RUN: frozenset[CodeType] = frozenset(
    function.__code__
    for function in (WebCall.run, WebCall.run_async, RpcCall.run, JobSource.run, Pump.pump)
)
_ON_LOOP = frozenset((WebCall.run_async.__code__, Pump.pump.__code__))
_WAIT: dict[CodeType, str] = {  # and the local variable that holds the call
    HandlerThreads.park.__code__: "call",
    WorkerEngine.wait_async.__code__: "call",
}


class AtWork(msgspec.Struct, frozen=True):
    """A request that has come to its handler."""

    request: Request
    handler: str  # its name
    frames: tuple[FrameType, ...]  # innermost first, the handler's own and what it called
    waits_for: Any  # a Call, something like it, or None: then it runs
    is_on_loop: bool  # an `async def` handler, or a streamed response between two pieces
    task: asyncio.Task[None] | None = None  # of one that is suspended

    @property
    def is_running(self) -> bool:
        """It holds a run slot, or the loop."""
        return self.waits_for is None

    def stack(self) -> str:
        """Where it is, as a traceback shows it."""
        lines = [(frame, frame.f_lineno) for frame in reversed(self.frames)]
        return "".join(traceback.StackSummary.extract(lines).format()).rstrip()

    def doing(self) -> str:
        """What it is doing, for a person."""
        if isinstance(self.waits_for, Call):
            return _waiting([self.waits_for])
        if isinstance(self.waits_for, Bundle):
            return _waiting(self.waits_for.calls)
        if self.waits_for is not None:
            return "waits for a coroutine"
        inner = self.frames[0]
        where = f"{inner.f_code.co_filename}:{inner.f_lineno}, in {inner.f_code.co_name}"
        return f"is on the loop at {where}" if self.is_on_loop else f"runs at {where}"


def at_work(tasks: Iterable[asyncio.Task[None]]) -> list[AtWork]:
    """The requests at their handlers. tasks: of `async def` handlers and streamed responses."""
    found = [_find(_task_frames(task), task) for task in list(tasks)]
    # After them, for of a task that runs just now only its thread knows the inner frames.
    found += [_find(_thread_frames(top)) for top in list(sys._current_frames().values())]
    return [each for each in found if each is not None]


class InHand(msgspec.Struct, frozen=True):
    """A request in hand, told in words. state: "queued", "running", "waiting" or "on the loop"."""

    age: float  # seconds
    id: str
    method: str
    uri: str
    handler: str  # "": it has come to none
    state: str
    doing: str


def records(requests: Iterable[Request], tasks: Iterable[asyncio.Task[None]]) -> list[InHand]:
    """All requests in hand, the oldest first."""
    now = time.monotonic()
    busy = {id(each.request): each for each in at_work(tasks)}
    by_age = sorted(requests, key=lambda request: request.began)
    return [_record(request, busy.get(id(request)), now) for request in by_age]


def _record(request: Request, work: AtWork | None, now: float) -> InHand:
    age, name = now - request.began, (request.method, request.uri)
    if work is None:
        # Also one that is answered by the loop itself; it is over before anybody can look.
        return InHand(age, request.id, *name, "", "queued", "waits for a handler thread")
    state = "waiting" if work.waits_for is not None else "running"
    if work.is_on_loop and work.waits_for is None:
        state = "on the loop"
    return InHand(age, request.id, *name, work.handler, state, work.doing())


def listing(requests: Iterable[Request], tasks: Iterable[asyncio.Task[None]]) -> str:
    """All requests in hand, oldest first, a line for each."""
    now = time.monotonic()
    busy = {id(each.request): each for each in at_work(tasks)}
    by_age = sorted(requests, key=lambda request: request.began)
    lines = [_line(request, busy.get(id(request)), now) for request in by_age[:LISTED_MAX]]
    if len(by_age) > LISTED_MAX:
        lines.append(f"  and {len(by_age) - LISTED_MAX} more")
    noun = "request is" if len(by_age) == 1 else "requests are"
    return "\n".join([f"{len(by_age)} {noun} in hand", *lines])


def _line(request: Request, work: AtWork | None, now: float) -> str:
    start = f"  {request.method} {request.uri}, {now - request.began:.1f} s old"
    if work is None and request.member:
        return f"{start}: passed on to {request.member.decode()}"
    if work is None:
        return f"{start}: waits for a handler thread"
    return f"{start}, {work.handler}: {work.doing()}"


def _waiting(calls: Sequence[Call]) -> str:
    answered = 0
    missing: list[str] = []
    for call in calls:
        members = {reply.member for reply in list(call.replies)}
        answered += len(members)
        missing += [node for member, node in enumerate(call.nodes) if member not in members]
    return f"waits for {', '.join(missing) or 'its turn to run'} ({answered} answered)"


def _find(frames: Iterator[FrameType], task: asyncio.Task[None] | None = None) -> AtWork | None:
    inner: list[FrameType] = []
    waits_for: Any = None
    for frame in frames:
        if frame.f_code in _RUN:
            call = frame.f_locals["self"]
            is_on_loop = frame.f_code in _ON_LOOP
            inner = inner or [frame]
            return AtWork(
                call.request, call.handler_name, tuple(inner), waits_for, is_on_loop, task
            )
        if waits_for is None and frame.f_code in _WAIT:
            waits_for = frame.f_locals.get(_WAIT[frame.f_code])
        inner.append(frame)
    return None


def _thread_frames(top: FrameType) -> Iterator[FrameType]:
    """From the innermost outwards."""
    frame: FrameType | None = top
    while frame is not None:
        yield frame
        frame = frame.f_back


def _task_frames(task: asyncio.Task[None]) -> Iterator[FrameType]:
    """From the innermost outwards, of a task that may be suspended."""
    frames: list[FrameType] = []
    awaited: Any = task.get_coro()
    while isinstance(awaited, CoroutineType) and awaited.cr_frame is not None:
        frames.append(awaited.cr_frame)
        awaited = awaited.cr_await
    return reversed(frames)
