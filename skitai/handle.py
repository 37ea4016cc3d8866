"""Waiting for calls: what every handle of `was` can do once something was sent.

A handle sends without blocking and collects later. A `Gathering` says what to wait for; here a
plain handler parks for it, and an async one awaits it. Neither knows sockets.

A handle belongs to the handler that made it and is used by one thread at a time.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Generator, Iterator, Sequence
from math import inf
from typing import Any, Literal

from skitai.collecting import Collection, Filter
from skitai.decoding import Decode
from skitai.engine import Ask, Call, DatabaseMembers, Engine, Members, Reach, Sql, Target
from skitai.errand import Errand
from skitai.errors import WrongUse
from skitai.gathering import Enough, Gathering
from skitai.keeping import Keeping, Source
from skitai.live_body import LiveBody
from skitai.results import Result, Results

DEFAULT_TIMEOUT = 3.0  # seconds, from sending; what getwait() has always waited
ABANDONED_AFTER = 30.0  # seconds: a call that nobody waits for is given up on the loop

Quorum = int | Literal["majority"]


class Waiting(ABC):
    """What can be waited for: a handle, or several together.

    timeout, everywhere: seconds since the (last) call was sent; None is what the call was made
    with, 3 by default. Then whoever has not answered has status TIMEOUT, and is cancelled. A
    request that has a deadline of its own does not wait beyond it.

    Whatever waits raises ClientGone, once, when the client has left whom the handler works for,
    and WrongUse, without waiting, when nothing was called.
    """

    def __init__(self, engine: Engine, errand: Errand | None) -> None:
        self._engine = engine
        self._errand = errand
        self._results: Results | None = None  # when all are there

    @abstractmethod
    def _collections(self) -> Sequence[Collection]:
        """What is waited for. Raises WrongUse if that is nothing, or cannot be."""

    @abstractmethod
    def _deadline(self, timeout: float | None) -> float:
        """The monotonic end of the wait; the calls are kept alive until then."""

    @property
    @abstractmethod
    def _gives_one(self) -> bool:
        """Whether `await` gives a Result, not Results."""

    @abstractmethod
    def _finish(self) -> Results:
        """All results are there."""

    def getwait(self, timeout: float | None = None) -> Result:
        """Wait for the result of one call to one server. The run slot is free meanwhile.

        Raises WrongUse, without waiting, when there are several results.
        """
        if self._results is None:
            collections = self._collections()
            if len(collections) > 1 or len(collections[0]) > 1:
                asked = sum(len(each) for each in collections)
                raise WrongUse(f"{asked} results are on their way: take them with getswait()")
        return self.getswait(timeout)[0]

    def getswait(
        self,
        timeout: float | None = None,
        *,
        first: int | None = None,
        quorum: Quorum | None = None,
    ) -> Results:
        """Wait for all results: in the order of the calls, of a map in the order of the conf.

        first: so many normal results are enough. The others are cancelled then, and have status
            TIMEOUT and a message that says so.
        quorum: the same, or "majority"; and the wait ends as well when they cannot come any more,
            because too many have failed.
        """
        if self._results is None:
            gathering = self._gathering(timeout, self._enough(first, quorum))
            try:
                gathering.land()
                while wanted := gathering.wanted():
                    in_time = self._engine.wait(gathering.call, wanted, gathering.deadline)
                    gathering.waited(in_time)
                    gathering.land()
            finally:
                gathering.close()
            self._results = self._finish()
        return self._results

    def wait(
        self,
        timeout: float | None = None,
        *,
        first: int | None = None,
        quorum: Quorum | None = None,
    ) -> Awaitable[Result | Results]:
        """For async handlers: `await s.wait(2)`; `await s` is the same with the default timeout.

        Gives a Result for one call to one server, Results for a map or several calls. For the
        rest see `getswait`.
        """
        return self._wait(timeout, first, quorum)

    def __await__(self) -> Generator[Any, None, Result | Results]:
        return self._wait(None, None, None).__await__()

    def as_completed(self, timeout: float | None = None) -> AsCompleted:
        """Each result as it lands, those that are missing at the end last.

            for result in s.as_completed(2): ...
            async for result in s.as_completed(2): ...      # or: async for result in s

        If you leave the loop, what is still out goes on, and can be waited for later.
        """
        return AsCompleted(self, timeout)

    def __aiter__(self) -> AsyncIterator[Result]:
        return aiter(AsCompleted(self, None))

    # --- inside ---

    async def _wait(
        self, timeout: float | None, first: int | None, quorum: Quorum | None
    ) -> Result | Results:
        if self._results is None:
            gathering = self._gathering(timeout, self._enough(first, quorum))
            try:
                gathering.land()
                while wanted := gathering.wanted():
                    wait = self._engine.wait_async(gathering.call, wanted, gathering.deadline)
                    gathering.waited(await wait)
                    gathering.land()
            except asyncio.CancelledError:
                gathering.cancel()
                raise
            finally:
                gathering.close()
            self._results = self._finish()
        return self._results[0] if self._gives_one else self._results

    def _gathering(
        self, timeout: float | None, enough: Enough | None, *, one_by_one: bool = False
    ) -> Gathering:
        collections = self._collections()
        deadline = self._deadline(timeout)
        return Gathering(
            self._engine, collections, self._errand, deadline, enough, one_by_one=one_by_one
        )

    def _enough(self, first: int | None, quorum: Quorum | None) -> Enough | None:
        if quorum == "majority":
            return Enough(sum(len(each) for each in self._collections()) // 2 + 1, True)
        if first is not None and quorum is not None:
            raise WrongUse("first and quorum both say how many results are enough; give one")
        count = quorum if first is None else first
        if count is None:
            return None
        if not isinstance(count, int) or count < 1:
            raise WrongUse(f"{count!r} is no number of results from 1 on that would be enough")
        return Enough(count, quorum is not None)


class AsCompleted:
    """The results of something that is waited for, as they land; for both kinds of loops."""

    __slots__ = ("_timeout", "_waiting")

    def __init__(self, waiting: Waiting, timeout: float | None) -> None:
        self._waiting = waiting
        self._timeout = timeout

    def __iter__(self) -> Iterator[Result]:
        waiting = self._waiting
        yield from _so_far(waiting)
        gathering = waiting._gathering(self._timeout, None, one_by_one=True)
        try:
            yield from gathering.land()
            while wanted := gathering.wanted():
                in_time = waiting._engine.wait(gathering.call, wanted, gathering.deadline)
                gathering.waited(in_time)
                yield from gathering.land()
        finally:
            gathering.close()
        waiting._finish()

    async def __aiter__(self) -> AsyncIterator[Result]:
        waiting = self._waiting
        for result in _so_far(waiting):
            yield result
        gathering = waiting._gathering(self._timeout, None, one_by_one=True)
        try:
            for result in gathering.land():
                yield result
            while wanted := gathering.wanted():
                wait = waiting._engine.wait_async(gathering.call, wanted, gathering.deadline)
                gathering.waited(await wait)
                for result in gathering.land():
                    yield result
        except asyncio.CancelledError:
            gathering.cancel()
            raise
        finally:
            gathering.close()
        waiting._finish()


def _so_far(waiting: Waiting) -> list[Result]:
    return [result for each in waiting._collections() for result in each.so_far()]


class Handle(Waiting):
    """Calls to one server, to one member of a cluster, or to all members.

    Several calls on one handle are out at the same time, and their results are taken together. A
    call that is made after the results were taken begins anew.

    A filter is called with each `Result` as it lands, on the waiting handler's own thread,
    while the other members are still out; it changes the result in place. It also sees the
    results of members that failed or did not answer in time.
    """

    def __init__(
        self,
        engine: Engine,
        target: Target,
        filter: Filter | None,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        errand: Errand | None = None,
        keeping: Keeping | None = None,
    ) -> None:
        """timeout: of waits that give none. errand: of the request that it is for."""
        super().__init__(engine, errand)
        self._target = target
        self._filter = filter
        self._timeout = _checked(timeout)
        self._keeping = keeping
        self._collection = Collection(filter)

    def _send(self, ask: Ask | Sql, decode: Decode) -> None:
        keep = None if self._keeping is None else self._keeping.of(decode)
        call = Call(self._target, ask, max(ABANDONED_AFTER, self._timeout), keep)
        self._engine.send(call)
        if self._results is not None:
            self._results = None
            self._collection = Collection(self._filter)
        self._collection.add(call, decode, Source(self._engine, call))
        if self._errand is not None:
            self._errand.sent(call)
        if isinstance(ask.body, LiveBody):
            self._make(ask.body, call)

    def _make(self, body: LiveBody, call: Call) -> None:
        """Have a body made that is sent meanwhile. Timeouts count from its end."""
        call.expires = inf
        try:
            body.run()
        except BaseException:
            self._engine.cancel(call)
            raise
        self._collection.last_sent = time.monotonic()
        call.expires = self._collection.last_sent + max(ABANDONED_AFTER, self._timeout)

    def _passed(self, given: frozenset[str]) -> bytes:
        """Header lines passed on of the request in hand. given: names the app has set itself."""
        return b"" if self._errand is None else self._errand.lines(given)

    def _collections(self) -> Sequence[Collection]:
        collection = self._collection
        if not collection:
            raise WrongUse("nothing was called yet: s = was.rpc(url); s.method(...); s.getwait()")
        if collection.has_failed:
            raise WrongUse("the filter of this call raised, so there are no results to wait for")
        return (collection,)

    def _deadline(self, timeout: float | None) -> float:
        collection = self._collection
        deadline = collection.last_sent + (self._timeout if timeout is None else _checked(timeout))
        for part in collection.open:
            if part.call.expires < deadline:
                part.call.expires = deadline
        return deadline

    @property
    def _gives_one(self) -> bool:
        target = self._target
        is_map = isinstance(target, Members | DatabaseMembers) and target.reach is Reach.ALL
        return len(self._collection) == 1 and not is_map

    def _finish(self) -> Results:
        if self._results is None:
            self._results = Results(self._collection.so_far())
        return self._results


class Gathered(Waiting):
    """Several handles that are waited for together, with one deadline: `was.gather(a, b)`.

    Their results are one after the other; each handle has its own ones as well then. A filter is
    called for the results of its own handle.
    """

    def __init__(self, engine: Engine, errand: Errand | None, handles: Sequence[Waiting]) -> None:
        super().__init__(engine, errand)
        self._handles = handles

    def _collections(self) -> Sequence[Collection]:
        return [each for handle in self._handles for each in handle._collections()]

    def _deadline(self, timeout: float | None) -> float:
        return max(handle._deadline(timeout) for handle in self._handles)

    @property
    def _gives_one(self) -> bool:
        return False

    def _finish(self) -> Results:
        if self._results is None:
            self._results = Results([one for each in self._handles for one in each._finish()])
        return self._results


def _checked(timeout: float) -> float:
    if not timeout >= 0.0:  # which NaN is not either
        raise WrongUse(f"the timeout {timeout!r} is not a number of seconds from 0 on")
    return timeout
