"""The app of test_handlers: each handler asks others and tells what it was told, as JSON.

`told` is what a result looks like from outside: [status, code, data, msg, node].
"""

import json
from urllib.request import urlopen

from skitai.errors import UnknownCluster, WrongUse
from skitai.server import ssgi

app = ssgi.Application(__name__)


def told(rs):
    return [int(rs.status), rs.code, rs.data, rs.msg, rs.node]


def complaint(error):
    return json.dumps([type(error).__name__, str(error)])


@app.route("/wget")
def wget(was, url):
    return json.dumps(told(was.wget(url).getwait(30)))


@app.route("/post")
def post(was, url, **form):
    return json.dumps(told(was.wget(url, form).getwait(30)))


@app.route("/rpc")
def rpc(was, url):
    s = was.rpc(url)
    s.add(1, 2, 39)
    t = was.rpc(url)
    t.catalog.search("Mozart")
    u = was.rpc(url)
    u.catalog.fail()
    return json.dumps([told(each.getwait(30)) for each in (u, t, s)])


@app.route("/named")
def named(was, url):
    s = was.rpc(url)
    s.catalog.search(keyword="Haydn")
    return json.dumps(told(s.getwait(30)))


@app.route("/map")
def map(was, cluster, timeout="30"):
    s = was.map(cluster)
    s.catalog.search("Mozart")
    results = s.getswait(float(timeout))
    assert [rs.status for rs in results] == results.status
    return json.dumps([told(rs) for rs in results])


@app.route("/filtered")
def filtered(was, cluster, timeout="30"):
    seen = []

    def only_first(rs):
        seen.append(int(rs.status))
        rs.data = rs.data[:1] if rs.status == 3 else []

    s = was.map(cluster, filter=only_first)
    s.catalog.search("Mozart")
    data = [rs.data for rs in s.getswait(float(timeout))]
    return json.dumps([seen, data])


@app.route("/opens")
def opens(was, cluster, gate):
    """The filter opens the gate at which the last member waits."""

    def open_gate(rs):
        if not rs.data.startswith("late"):
            urlopen(gate, timeout=30).read()

    s = was.map(cluster, filter=open_gate)
    s.greet()
    return json.dumps([told(rs) for rs in s.getswait(30)])


@app.route("/lb")
def lb(was, cluster):
    s = was.lb(cluster)
    s.add(40, 2)
    return json.dumps(told(s.getwait(30)))


@app.route("/wrong/unknown")
def unknown(was):
    s = was.map("nowhere/rpc2")
    try:
        s.add(1)
    except UnknownCluster as error:
        return complaint(error)


@app.route("/wrong/getwait-of-map")
def getwait_of_map(was, cluster):
    """One of its members never answers, so it must complain without waiting for it."""
    s = was.map(cluster)
    s.add(1)
    try:
        s.getwait(30)
    except WrongUse as error:
        statuses = [int(rs.status) for rs in s.getswait(0.01)]
        return json.dumps([json.loads(complaint(error)), statuses])


@app.route("/wrong/nothing-called")
def nothing_called(was, url):
    try:
        was.rpc(url).getwait()
    except WrongUse as error:
        return complaint(error)


@app.route("/wrong/raising-filter")
def raising_filter(was, url):
    def raising(rs):
        raise KeyError("a mistake of the app's")

    was.wget(url, filter=raising).getwait(30)


@app.route("/later")
def later(was, url):
    """Both are on their way before the first is waited for; taken again they are the same."""
    s, t = was.wget(url), was.wget(url)
    first, second = t.getwait(30), s.getwait(30)
    assert t.getwait() is first
    return json.dumps([told(first), told(second)])


@app.route("/async/await")
async def awaiting(was, url):
    return json.dumps(told(await was.wget(url)))


@app.route("/async/wait")
async def waiting(was, url, timeout):
    return json.dumps(told(await was.wget(url).wait(float(timeout))))


@app.route("/async/map")
async def async_map(was, cluster):
    seen = []
    s = was.map(cluster, filter=lambda rs: seen.append(int(rs.status)))
    s.catalog.search("Mozart")
    return json.dumps([[told(rs) for rs in await s.wait(30)], seen])


@app.route("/async/getwait")
async def blocking(was, url):
    s = was.wget(url)
    try:
        s.getwait()
    except WrongUse as error:
        text = str(error)
    return json.dumps([text, told(await s)])


@app.route("/parked")
def parked(was, url):
    return was.wget(url).getwait(30).data
