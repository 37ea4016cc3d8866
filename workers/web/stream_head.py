"""The header of a streamed response, and how its body will be told from what follows it. Pure."""

from __future__ import annotations

import msgspec

from skitai.request import Request

from . import reply


class Head(msgspec.Struct, frozen=True):
    """data: as it is sent. length: what it promises, None for nothing."""

    data: bytes
    length: int | None
    is_chunked: bool  # RFC 9112 section 7.1; with neither, the end of the connection is its end
    keep_alive: bool
    has_body: bool
    is_event_stream: bool  # https://html.spec.whatwg.org/multipage/server-sent-events.html


def head(request: Request, kind: str, length: int | None, keep_alive: bool) -> Head:
    """Status and fields are those of the request's response.

    kind: the content type if the app has set none. length: of the body, None if it is not known.
    """
    response = request.response
    fields = list(response.fields)
    given = response.get("content-type")
    if kind and given is None:
        fields.insert(0, ("Content-Type", kind))
    may_have_body = response.status not in reply.BODILESS
    has_body = may_have_body and request.method != "HEAD"
    is_chunked = may_have_body and length is None and request.version == "1.1"
    if is_chunked:
        fields.append(("Transfer-Encoding", "chunked"))
    keep_alive = keep_alive and (is_chunked or length is not None or not has_body)
    data = reply.head(
        response.status,
        fields,
        length,
        keep_alive=keep_alive,
        version=request.version,
        reason=response.reason,
    )
    is_event_stream = (given or "").partition(";")[0].strip().lower() == "text/event-stream"
    return Head(data, length, is_chunked, keep_alive, has_body, is_event_stream)
