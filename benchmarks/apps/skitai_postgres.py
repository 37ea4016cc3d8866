from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/row")
def row(was):
    s = was.db("@one")
    s.execute("SELECT id, name FROM items WHERE id = %s", (500,))
    return s.getwait(10).data[0]["name"]


@app.route("/map")
def map(was):
    s = was.dmap("three")
    s.execute("SELECT id, name FROM items WHERE id = %s", (500,))
    return ",".join([rs.data[0]["name"] for rs in s.getswait(10)])


@app.route("/rows")
def rows(was):
    s = was.db("@one")
    s.execute("SELECT id, name, price, weight, count, note, active, made FROM items ORDER BY id")
    return s.getwait(10).data
