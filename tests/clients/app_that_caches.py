"""The app of test_caching."""

import json

from skitai.errors import WrongUse
from skitai.server import ssgi

app = ssgi.Application(__name__)


def told(rs):
    return [int(rs.status), rs.data, rs.is_cached]


@app.route("/result")
def result(was, url, timeout="300"):
    rs = was.wget(url).getwait(30)
    assert rs.cache(timeout=float(timeout)) is rs
    return json.dumps(told(rs))


@app.route("/plain")
def plain(was, url):
    return json.dumps(told(was.wget(url).getwait(30)))


@app.route("/expired")
def expired(was, url):
    rs = was.wget(url).getwait(30)
    rs.expire()
    return json.dumps(told(rs))


@app.route("/results")
def results(was, cluster):
    s = was.map(cluster)
    s.add(40, 2)
    results = s.getswait(30)
    results.cache(timeout=60)
    return json.dumps([[told(rs) for rs in results], results.is_cached])


@app.route("/member")
def member(was, cluster):
    """One result of a map cannot be kept."""
    s = was.map(cluster)
    s.add(1, 1)
    results = s.getswait(30)
    results[0].cache(60)
    return json.dumps([told(rs) for rs in results])


@app.route("/beforehand")
def beforehand(was, url):
    return json.dumps(told(was.wget(url, cache=60).getwait(30)))


@app.route("/impatient")
def impatient(was, url, timeout):
    rs = was.wget(url, cache=60).getwait(float(timeout))
    return json.dumps(told(rs))


@app.route("/stale")
def stale(was, url):
    """It is stale at once."""
    return json.dumps(told(was.wget(url, cache=0, stale=300).getwait(30)))


@app.route("/login")
def login(was, url, user):
    return json.dumps(told(was.wget(url, login=f"{user}:secret", cache=60).getwait(30)))


@app.route("/rpc")
def rpc(was, url):
    s = was.rpc(url, cache=60)
    s.catalog.search("Mozart")
    t = was.rpc(url, cache=60)
    t.catalog.fail()
    return json.dumps([told(s.getwait(30)), told(t.getwait(30))])


@app.route("/lb")
def lb(was, cluster):
    s = was.lb(cluster, cache=60)
    s.add(1, 2)
    return json.dumps(told(s.getwait(30)))


@app.route("/filtered")
def filtered(was, cluster):
    """Whoever changes what he was given changes nobody else's."""

    def first(rs):
        rs.data = rs.data[:1]

    def ask(filter):
        s = was.map(cluster, filter=filter, cache=60)
        s.catalog.search("Mozart")
        return s.getswait(30)

    filtered, whole, again = ask(first), ask(None), ask(None)
    whole[0].data.append("scribbled")
    return json.dumps([each[0].data for each in (filtered, whole, again)])


@app.route("/async")
async def in_the_loop(was, url):
    return json.dumps(told(await was.wget(url, cache=60)))


@app.route("/wrong")
def wrong(was, url):
    try:
        was.wget(url, stale=60)
    except WrongUse as error:
        return str(error)


@app.route("/figures")
def figures(was):
    return was.rcache.status()
