"""The app whose procedures `test_rpc.py` calls."""

import asyncio
import datetime
import os

from skitai.errors import HttpError, RpcFault
from skitai.server import ssgi

app = ssgi.Application(__name__)
app.set_devel(True)


@app.route("/")
def root(was):
    return "root"


@app.route("/hello")
def hello(was, name="nobody"):
    return f"hello {name}"


@app.route("/hello/world")
def world(was):
    return "hello world"


@app.route("/async/add")
async def async_add(was, a, b):
    await asyncio.sleep(0)
    return a + b


@app.route("/add")
def add(was, a, b):
    return a + b


@app.route("/echo")
def echo(was, *args, **kwargs):
    return [list(args), kwargs] if kwargs else list(args)


@app.route("/same")
def same(was, value):
    return value


@app.route("/number/<int:number>")
def number(was, number):
    return number


@app.route("/kind")
def kind(was, value):
    return type(value).__name__


@app.route("/number_of")
def number_of(was, text):
    return int(text)


@app.route("/now")
def now(was):
    return datetime.datetime(2026, 1, 2, 3, 4, 5)


@app.route("/deep")
def deep(was, depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


class Unspeakable(Exception):
    def __str__(self):
        raise ZeroDivisionError


def fail(was, how):
    match how:
        case "error":
            raise ValueError("bad luck")
        case "fault":
            raise RpcFault(17, "no such company")
        case "http":
            raise HttpError(403, "not for you")
        case "http-bare":
            raise HttpError(403)
        case "exit":
            raise SystemExit(3)
        case "cancelled":
            raise asyncio.CancelledError
        case "unspeakable":
            raise Unspeakable
        case "surrogates":
            raise ValueError(os.fsdecode(b"a\xff"))
        case "huge-code":
            raise RpcFault(2**70, "more than XML-RPC has")
        case "surrogates-fault":
            raise RpcFault(17, "a\udcffb")
        case "surrogates-http":
            raise HttpError(404, "a\udcffb")
        case "object":
            return object()
        case "control":
            return "a\0b"
        case "stream":
            return iter("abc")
        case "status":
            was.response.start(409)
            return "taken"
        case "response-error":
            return was.response.error(410, "no longer")
        case "lone":
            return "a\ud800"


@app.route("/fail")
def sync_fail(was, how):
    return fail(was, how)


@app.route("/async/fail")
async def async_fail(was, how):
    return fail(was, how)
