import time

from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/fan/<cluster>")
def fan(was, cluster):
    s = was.map(cluster + "/fast", method="GET")
    return str(sum(len(rs.data) for rs in s.getswait(5)))


@app.route("/one/<path>")
def one(was, path):
    return was.lb("one/" + path, method="GET").getwait(5).data


@app.route("/cached")
def cached(was):
    return was.lb("one/fast", method="GET", cache=3600).getwait(5).data


@app.route("/block")
def block(was):
    time.sleep(0.01)
    return "done"


@app.route("/hello")
def hello(was):
    return "Hello World"
