"""The status page and what is done there: its paths, and what each of them answers.

Runs on the loop. Whoever comes here has been let in already (`auth`). A POST changes something
only if it comes from a page of ours (`csrf`), and all that is done, or refused as such a thing, is
written to server.log with its address. Orders go to the master, which has the last word on them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import msgspec

from skitai.request import FORM, Request
from skitai.serialize import HTML
from skitai.wire import urlencoded
from skitaid.workers import control
from skitaid.workers.settings import Settings

from . import orders
from .csrf import Tokens, is_foreign
from .document import Status
from .live import Live
from .orders import KINDS, STATES, Order
from .page import Page
from .templating import FILE_TYPES, FILES

log = logging.getLogger(__name__)

Fields = list[tuple[str, str]]
Answer = tuple[int, Fields, bytes]  # status, header fields, body

# Nothing but our own files: no inline script or style, nothing from elsewhere, in nobody's frame.
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SAFE: Fields = [
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),  # with no-referrer a form's Origin would be "null"
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
]
EVENT_FIELDS: Fields = [
    ("Content-Type", "text/event-stream; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("X-Accel-Buffering", "no"),  # nginx would keep it back
    *SAFE,
]
_STALE = (
    "The form was not sent by this page, or the page is too old: its token is missing or wrong."
    " Go back and try again."
)
_FOREIGN = "The form was sent by another site."


class Console:
    """Of one worker."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: Settings,
        status: Callable[[], Awaitable[Status]],
        stacks: Callable[[], Awaitable[list[tuple[int, str | None]]]],
        tell_master: Callable[[control.FromWorker], None],
    ) -> None:
        """status: gives the document. stacks: of each worker, None if it gives no answer."""
        self._loop = loop
        self._name = settings.name
        self._base = f"{settings.admin.path}/status"
        self._status = status
        self._stacks = stacks
        self._tell_master = tell_master
        self._page = Page(settings.admin.path)
        self._tokens = Tokens(settings.secure_keys, settings.admin.password)
        self.live = Live(loop, status, self._page.parts)

    # --- what is looked at ---

    async def status(self, request: Request) -> Answer:
        """The page."""
        token = self._tokens.make(time.time())
        status = await self._status()
        notice = _notice(request, status)
        return _page(await self._aside(self._page.whole, status, token, notice))

    async def routes(self, request: Request) -> Answer:
        """The page with all routes."""
        return _page(await self._aside(self._page.all_routes, await self._status()))

    async def file(self, name: str, request: Request) -> Answer:
        """A file of the pages. Its URL has its version in it, so that browsers may keep it."""
        kind = FILE_TYPES[name[name.rindex(".") :]]
        kept = ("Cache-Control", "private, max-age=31536000, immutable")
        return 200, [("Content-Type", kind), kept, *SAFE], FILES[name]

    # --- what is done ---

    async def do(self, request: Request) -> Answer:
        """An order from a form."""
        who = f"admin from {request.caller.address or 'a unix socket'}"
        if is_foreign(request):
            return await self._refused(request, who, 403, _FOREIGN)
        try:
            form = _form(request)
            if not self._tokens.is_good(form.get("token", ""), time.time()):
                return await self._refused(request, who, 403, _STALE)
            order = orders.read(form.get("do", ""))
        except ValueError as error:
            return await self._refused(request, who, 400, str(error))
        status = await self._status()
        if not orders.is_known(order, status):
            reason = f"There is no member {order.whom}."
            return await self._refused(request, who, 404, reason)
        if form.get("confirmed") != "yes" and orders.is_dangerous(order, status):
            return _page(await self._asked(order))
        log.warning("status page: %s: %s", who, order)
        if order.what == "stacks":
            return _page(await self._shown(status))
        self._tell_master(_wish(order, who))
        if order.what == "stop":  # nobody may be there to show the page again
            return _page(await self._told("Stopping", KINDS["stop"].done))
        return 303, [("Location", f"{self._base}?{urlencode({'done': order.text})}"), *SAFE], b""

    async def _asked(self, order: Order) -> bytes:
        kind = KINDS[order.what]
        return await self._aside(
            self._page.render,
            "confirm.html",
            question=kind.question.format(order.whom),
            consequence=kind.consequence,
            label=kind.label,
            order=order.text,
            token=self._tokens.make(time.time()),
        )

    async def _shown(self, status: Status) -> bytes:
        stacks = await self._stacks()
        page, now = self._page, status.server.time
        return await self._aside(
            page.render, "stacks.html", name=self._name, time=now, stacks=stacks
        )

    async def _refused(self, request: Request, who: str, status: int, reason: str) -> Answer:
        log.warning("request %s: status page: refused to %s: %s", request.id, who, reason)
        return _page(await self._told("Refused", reason), status)

    async def _told(self, title: str, text: str) -> bytes:
        return await self._aside(self._page.render, "told.html", title=title, text=text)

    async def _aside(self, make: Callable[..., bytes], *args: Any, **values: Any) -> bytes:
        """Beside the loop, as a large page takes long."""
        return await self._loop.run_in_executor(None, lambda: make(*args, **values))


def _page(body: bytes, status: int = 200) -> Answer:
    return status, [("Content-Type", HTML), *SAFE], body


def _form(request: Request) -> dict[str, str]:
    """Raises ValueError for what is no form of ours."""
    if request.media_type != FORM:
        raise ValueError("An order is sent as a form.")
    fields: dict[str, Any] = {}
    urlencoded.load(request.body.decode("ascii"), fields)
    return {name: value for name, value in fields.items() if isinstance(value, str)}


def _notice(request: Request, status: Status) -> str:
    """What has just been done, as the address says; "": nothing, or a link from elsewhere."""
    fields: dict[str, Any] = {}
    try:
        urlencoded.load(request.target.partition(b"?")[2].decode("ascii"), fields)
        order = orders.read(str(fields.get("done", "")))
    except ValueError:
        return ""
    if is_foreign(request) or not orders.is_known(order, status):
        return ""
    return KINDS[order.what].done.format(order.whom)


def _wish(order: Order, who: str) -> control.FromWorker:
    if order.what in STATES:
        return control.WishForMember(order.cluster, order.node, STATES[order.what], who)
    wished: control.Wish = msgspec.convert({"what": order.what, "who": who}, control.Wish)
    return wished
