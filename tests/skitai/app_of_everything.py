"""An app that answers in each way there is: asked through a test client, and over a server."""

import io

from skitai.errors import HttpError, RpcFault
from skitai.server import ssgi

app = ssgi.Application(__name__)
app.use_session(True)


class Refused(Exception):
    pass


@app.startup
def startup(wasc, app):
    wasc.register("greeting", "Hello")


@app.before_request
def before_request(was):
    return "before" if was.request.get_header("x-before") else None


@app.after_request
def after_request(was):
    was.response["X-After"] = "after"


@app.errorhandler(Refused)
def refused(was, error):
    was.response.status = 403
    return "refused"


@app.errorhandler(418)
def teapot(was, error):
    return f"a teapot: {error.detail}"


@app.route("/")
def root(was):
    return was.greeting


@app.route("/hello/world")
def hello(was, name="World", n=0):
    """Says hello."""
    return f"{was.greeting} {name} {n}"


@app.route("/company/<int:cid>")
def company(was, cid, tab="all"):
    return {"cid": cid, "tab": tab}


@app.route("/named/<name>")
def named(was, name):
    return {"name": name, "url": was.url_for("named", name=name)}


@app.route("/files/<path:rest>")
def files(was, rest):
    return rest


@app.route("/slash/")
def slash(was):
    return "slash"


@app.route("/form")
def form(was, **form):
    return {
        k: [bare(each) for each in v] if isinstance(v, list) else bare(v) for k, v in form.items()
    }


def bare(value):
    """A file without the place where it is."""
    return dict(value, local="") if isinstance(value, dict) else value


@app.route("/upload")
def upload(was, photo):
    with photo.open() as file:
        return [photo.filename, photo["mimetype"], photo["size"], file.read().decode()]


@app.route("/raw", methods=["POST", "PUT", "PATCH", "DELETE"])
def raw(was):
    request = was.request
    return [
        request.method,
        request.uri,
        request.get_header("content-type"),
        repr(request.get_body()),
    ]


@app.route("/env")
def env(was):
    return {k: v for k, v in was.env.items() if k not in ("SERVER_PORT", "SERVER_SOFTWARE")}


@app.route("/json", methods=["POST"])
def json(was, cid):
    return [cid, was.request.json]


@app.route("/headers")
def headers(was):
    was.response.start(201, "Made", [("X-One", "1"), ("X-One", "2")])
    was.response["Content-Type"] = "text/plain; charset=latin-1"
    return "h\xe9".encode("latin-1")


@app.route("/status")
def status(was, code):
    was.response.start(int(code))


@app.route("/error")
def error(was, code="404"):
    raise HttpError(int(code), "sorry <b>", (("X-Why", "because"),))


@app.route("/problem")
def problem(was):
    was.response["Location"] = "/test/"
    return was.response.error(307, "there")


@app.route("/fail")
def fail(was):
    raise LookupError("nothing")


@app.route("/refuse")
def refuse(was):
    raise Refused


@app.route("/nothing")
def nothing(was): ...


@app.route("/number")
def number(was):
    return 5


@app.route("/cookie")
def cookie(was, value=""):
    if value:
        was.cookie.set("note", value, max_age=3600)
        was.cookie.set("here", "only", path="/test/cookie")
        was.cookie.set("old", "x", max_age=0)
    return dict(was.cookie)


@app.route("/count")
def count(was, clear=""):
    was.session["n"] = was.session.get("n", 0) + 1
    if clear:
        was.session.clear()
    return dict(was.session)


@app.route("/rows")
def rows(was):
    was.response["Content-Type"] = "text/plain"
    return (f"row {number}\n" for number in range(3))


@app.route("/file")
def file(was):
    return io.BytesIO(b"a file")


@app.route("/events")
async def events(was):
    async def pieces():
        yield "data: 1\n\n"
        yield b"data: 2\n\n"

    return pieces()


@app.route("/async")
async def later(was, name):
    return {"name": name}


@app.route("/async/fail")
async def later_fail(was):
    raise Refused


@app.route("/add")
def add(was, a, b):
    return a + b


@app.route("/fault")
def fault(was):
    raise RpcFault(77, "no")


@app.route("/ask")
def ask(was, how, method, arg="x"):
    """Our own methods, as members of a cluster."""
    s = was.map("members/rpc2") if how == "map" else was.lb("members/rpc3")
    getattr(s, method)(arg)
    results = s.getswait(timeout=10) if how == "map" else [s.getwait(timeout=10)]
    return [[int(each.status), each.data, each.code] for each in results]
