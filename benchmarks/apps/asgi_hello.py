"""The least that an ASGI server can be asked to do."""

HEADERS = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", b"11")]


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b"Hello World"})
