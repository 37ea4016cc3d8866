"""The app whose pages `test_web.py` asks for."""

import asyncio
import os

from skitai.errors import HttpError
from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/hello")
def hello(was):
    return "hello"


@app.route("/echo/<int:number>/<path:rest>")
def echo(was, number, rest, **fields):
    return {"number": number, "rest": rest, "fields": fields, "path": was.request.path}


@app.route("/request")
def request(was):
    return {
        "method": was.request.method,
        "uri": was.request.uri,
        "peer": was.request.remote_addr,
        "version": was.request.version,
        "size": len(was.request.body),
        "header": was.request.get_raw_header(),
    }


@app.route("/two")
def two(was, a, b="default"):
    return [a, b]


@app.route("/async/two")
async def async_two(was, a, b="default"):
    await asyncio.sleep(0)
    return [a, b]


@app.route("/any")
def any_field(was, **fields):
    return fields


@app.route("/dict")
def a_dict(was):
    return {"a": [1, None, "\u20ac"]}


@app.route("/async/dict")
async def async_dict(was):
    return {"a": [1, None, "\u20ac"]}


@app.route("/response")
def response(was):
    was.response.start(201, "Made", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    was.response["Content-Type"] = "text/plain"
    return "made"


@app.route("/nothing")
def nothing(was):
    was.response.status = 204
    return ""


@app.route("/large/<int:size>")
def large(was, size):
    return b"x" * size


@app.route("/teapot")
def teapot(was):
    raise HttpError(418, "<short> & stout", (("X-Pot", "tea"),))


@app.route("/async/teapot")
async def async_teapot(was):
    raise HttpError(418, "<short> & stout", (("X-Pot", "tea"),))


def fail(how):
    if how == "error":
        raise ZeroDivisionError("<the secret of the handler>")
    if how == "exit":
        raise SystemExit(3)
    if how == "interrupt":
        raise KeyboardInterrupt
    if how == "generator-exit":
        raise GeneratorExit
    if how == "cancelled":
        raise asyncio.CancelledError
    if how == "no-error":
        raise type("Unspeakable", (Exception,), {"__str__": lambda self: 1 // 0})
    if how == "surrogates":
        raise HttpError(400, os.fsdecode(b"\xff"))
    if how == "bad-status":
        raise HttpError(99, "not a status")
    if how == "injection":
        raise HttpError(400, "", (("X", "a\r\nSet-Cookie: b"),))
    if how == "none":
        return None
    if how == "object":
        return object()
    if how == "deep":
        value = []
        for _ in range(100_000):
            value = [value]
        return value
    return "fine"


@app.route("/fail/<how>")
def sync_fail(was, how):
    return fail(how)


@app.route("/async/fail/<how>")
async def async_fail(was, how):
    return fail(how)
