"""An app whose handlers wait for several calls, for some of them, or in vain."""

import io
import json
from urllib.request import urlopen

from skitai.errors import ClientGone
from skitai.server import ssgi

app = ssgi.Application(__name__)


def told(result):
    return [int(result.status), result.code, result.data, result.msg, result.node]


@app.route("/several")
def several(was, cluster):
    s = was.lb(cluster)
    s.get({"call": "1"})
    s.get({"call": "2"})
    return json.dumps([told(rs) for rs in s.getswait(30)])


@app.route("/gather")
def gather(was, url, cluster):
    a, b = was.wget(url), was.map(cluster, method="GET")
    results = was.gather(a, b).getswait(30)
    assert [a.getwait(), *b.getswait()] == list(results)
    return json.dumps([told(rs) for rs in results])


@app.route("/gather-async")
async def gather_async(was, url, cluster):
    a, b = was.wget(url), was.map(cluster, method="GET")
    return json.dumps([told(rs) for rs in await was.gather(a, b).wait(30)])


@app.route("/first")
def first(was, cluster, count):
    s = was.map(cluster, method="GET")
    return json.dumps([told(rs) for rs in s.getswait(30, first=int(count))])


@app.route("/quorum")
async def quorum(was, cluster):
    s = was.map(cluster, method="GET")
    return json.dumps([told(rs) for rs in await s.wait(30, quorum="majority")])


@app.route("/as-completed")
def as_completed(was, cluster, gate):
    """The late one answers only when the first has been seen."""
    seen = []
    for rs in was.map(cluster, method="GET").as_completed(30):
        if not seen:
            urlopen(gate, timeout=30).read()
        seen.append(told(rs))
    return json.dumps(seen)


@app.route("/as-completed-async")
async def as_completed_async(was, cluster, gate):
    seen = []
    async for rs in was.map(cluster, method="GET", timeout=30):
        if not seen:
            await was.wget(gate)
        seen.append(told(rs))
    return json.dumps(seen)


@app.route("/login")
def login(was, url):
    return was.wget(url, login="user:password", json={"a": [1]}).getwait(30).data


@app.route("/upload")
def upload(was, cluster):
    form = {"a": "1", "file": io.BytesIO(b"x" * 200_000)}
    s = was.map(cluster, form, multipart=True)
    return json.dumps([told(rs) for rs in s.getswait(30)])


@app.route("/multicall")
def multicall(was, url):
    s = was.rpc(url)
    s.multicall(("add", 1, 2), ("catalog.fail",), ("catalog.search", "Mozart"))
    total, fault, found = s.getwait(30).data
    return [total, fault.code, fault.message, found]


@app.route("/patient")
def patient(was, url):
    """Waits for longer than it may."""
    return json.dumps(told(was.wget(url).getwait(30)))


@app.route("/short", timeout=2)
def short(was, url):
    return json.dumps(told(was.wget(url).getwait(30)))


@app.route("/short-async", timeout=2)
async def short_async(was, url):
    return json.dumps(told(await was.wget(url).wait(30)))


@app.route("/left")
def left(was, url, cleanup):
    try:
        was.wget(url).getwait(30)
    except ClientGone as gone:
        assert was.request.gone
        was.wget(cleanup, {"reason": str(gone)}).getwait(30)
        raise


@app.route("/left-map")
def left_map(was, cluster, cleanup):
    """Several calls at once, of which some are answered."""
    s = was.map(cluster, method="GET", filter=lambda rs: None)
    s.get()
    try:
        s.getswait(30)
    except ClientGone:
        was.wget(cleanup).getwait(30)
        raise


@app.route("/left-async")
async def left_async(was, url, cleanup):
    try:
        await was.wget(url).wait(30)
    except ClientGone as gone:
        await was.wget(cleanup, {"reason": str(gone)})
        raise


@app.route("/left-stream")
def left_stream(was, url, cleanup):
    def pieces():
        yield "the first piece"
        try:
            was.wget(url).getwait(30)
        except ClientGone:
            was.wget(cleanup).getwait(30)
            raise

    return pieces()


@app.route("/page")
def page(was):
    return "page"
