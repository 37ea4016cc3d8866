"""One request at its handler: arguments in, what the response is made of out.

Runs where the handler does: on a handler thread, or on the loop for an `async def`. Status and
header fields are in `was.response` afterwards; a response that nobody has touched is a plain 200.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
import traceback
from functools import partial
from types import TracebackType
from typing import Any

from skitai import serialize
from skitai.errors import ClientGone, HttpError, Unsupported
from skitai.hooks import course, follow, follow_async
from skitai.pages import error_page
from skitai.request import Request
from skitai.serialize import HTML, Body
from skitai.table import Found
from skitai.was import WAS

log = logging.getLogger("skitai.app")

CLIENT_GONE = 499  # of nginx: for the access log, as nobody reads the answer

_OURS = os.path.dirname(__file__) + os.sep
_OF_A_BODY = ("Content-Type", "Content-Encoding", "Expires", "Cache-Control", "ETag", "Set-Cookie")


def answer(was: WAS, found: Found) -> tuple[str, Body]:
    """Call the handler and the hooks around it. Returns content type and body; raises nothing."""
    try:
        if not found.levels and not found.route.is_async:
            value = found.route.handler(was, **arguments(was.request, found))
        else:
            value = call(was, found, partial(_call, was, found))
        return finish(was, value)
    except BaseException as error:  # a SystemExit too: it must not end the thread
        return failed(was, found, error)


async def answer_async(was: WAS, found: Found) -> tuple[str, Body]:
    """The same for an `async def` handler, on the loop. Raises CancelledError when cancelled."""
    try:
        if not found.levels:
            value = await found.route.handler(was, **arguments(was.request, found))
        else:
            value = await follow_async(course(was, found.levels, partial(_call, was, found)))
        return finish(was, value)
    except asyncio.CancelledError as error:
        if _is_cancelled():
            raise  # the worker leaves, or the client was sent away
        return failed(was, found, error)  # something that the handler awaited was cancelled
    except BaseException as error:  # a SystemExit too: it must not end the loop
        return failed(was, found, error)


def call(was: WAS, found: Found, handler: Any) -> Any:
    """`handler()` with the hooks around it, from a handler thread. Raises what they raise."""
    return follow(course(was, found.levels, handler), was._wasc.engine.run)


def _call(was: WAS, found: Found) -> Any:
    return found.route.handler(was, **arguments(was.request, found))


def arguments(request: Request, found: Found) -> dict[str, Any]:
    """What the handler is given. Raises HttpError 400 for a missing or an unexpected argument.

    Members of a JSON body are given to who has an argument of that name; who has none takes them
    from `was.request.json`.
    """
    given = merged(request.args, found.params) if found.params else request.args
    signature = found.route.signature
    complaint = signature.complaint(given)
    if complaint is not None and isinstance(request.json, dict):
        ours = signature.accepted
        given = {k: v for k, v in given.items() if k in ours or k not in request.json}
        complaint = signature.complaint(given)
    if complaint is not None:
        raise HttpError(400, f"{request.path}: {complaint}.")
    return given


def merged(args: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """The values of query and body joined by those of the path.

    A name that comes both ways has a list, the path's value last.
    """
    both = dict(args)
    for name, value in params.items():
        if name not in both:
            both[name] = value
        elif isinstance(both[name], list):
            both[name] = [*both[name], value]
        else:
            both[name] = [both[name], value]
    return both


def finish(was: WAS, value: Any) -> tuple[str, Body]:
    """What was returned, as a body; cookies and session go into the response.

    Raises HttpError if `was.response.error` was called, and what serialize.to_body raises.
    """
    request = was.request
    response = request.answered_with
    if response is not None:
        if response.problem is not None:
            raise response.problem
        if value is None and response.may_be_empty:
            value = b""
    if was._cookies is not None or was.app.has_session:
        for name, text in cookie_fields(was):
            request.response.set(name, text)
    return serialize.to_body(value)


def cookie_fields(was: WAS) -> list[tuple[str, str]]:
    """The Set-Cookie lines of what was set meanwhile. Raises SessionTooLarge."""
    fields: list[tuple[str, str]] = []
    if was.app.has_session:  # also one that no handler has looked at: its time begins anew
        field = was.session.field(time.time())
        if field is not None:
            fields.append(field)
    if was._cookies is not None:
        fields += was._cookies.fields()
    return fields


def failed(was: WAS, found: Found, error: BaseException) -> tuple[str, bytes]:
    """The server's own page for what nobody has handled; it is logged unless it was meant."""
    request = was.request
    trace = ""
    kept: list[tuple[str, str]] = []
    if not isinstance(error, HttpError):
        log_failure(request, found, error)
        if found.app.is_devel():
            trace = "".join(traceback.format_exception(error))
        error = _page_for(error, trace)
    elif request.problem is error:
        for name in _OF_A_BODY:
            request.response.delete(name)
        kept = list(request.response.fields)
    response = request.start_anew()
    response.status = error.status
    for name, value in (*kept, *error.headers):
        if name.lower() != "content-type":  # the page is ours, and so is its type
            response.set(name, value)
    return HTML, error_page(error.status, error.detail, trace)


def _page_for(error: BaseException, trace: str) -> HttpError:
    if isinstance(error, ClientGone):
        return HttpError(CLIENT_GONE, "The client has left.")
    why = "The handler failed." if trace else "The handler failed; the log of its app says why."
    return HttpError(500, why)


def log_failure(request: Request, found: Found, error: BaseException) -> None:
    """One entry with the request, the handler and the traceback, from the app's own code on."""
    where = (request.id, request.method, request.uri, found.name)
    if isinstance(error, ClientGone):  # no failure of anybody here
        log.debug("request %s, %s %s: %s ended: %s", *where, error)
        return
    extra = {"request_id": request.id}
    error.__traceback__ = _of_app(error.__traceback__) or error.__traceback__
    if request.failures is not None:
        request.failures.append(error)
    if isinstance(error, Unsupported):
        log.error("request %s, %s %s: %s %s", *where, error, extra=extra)
    else:
        kind = type(error).__name__
        log.error("request %s, %s %s: %s raised %s", *where, kind, exc_info=error, extra=extra)


def _of_app(trace: TracebackType | None) -> TracebackType | None:
    """A traceback without the calls that led to the app's first line; None if it has none."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OURS):
        trace = trace.tb_next
    return trace


def _is_cancelled() -> bool:
    """Whether it is the current task itself that somebody cancels."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
