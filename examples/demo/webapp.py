"""The demo's web server: asks three others at once, from a plain function."""

from skitai.server import ssgi

app = ssgi.Application (__name__)
app.set_devel (True)


@app.route ("/hello")
def hello (was):
    return 'Hello World'


@app.route ("/search")
def search (was, keyword = "Mozart"):
    s = was.map ("mysearch/rpc2")
    s.search (keyword)

    results = s.getswait (timeout = 2)

    all_results = []
    for result in results:
        if result.status == 3:
            all_results.extend (result.data)

    return {
        "keyword": keyword,
        "found": sorted (all_results, key = lambda each: each ["title"]),
        "members": [
            {"node": rs.node, "status": rs.status, "meaning": rs.status.name, "msg": rs.msg}
            for rs in results
        ],
    }


@app.route ("/query")
def query (was, keyword = ""):
    s = was.dmap ("mydb")
    s.execute ("SELECT name, population FROM cities WHERE name ILIKE %s", (f"%{keyword}%",))

    results = s.getswait (timeout = 2)

    found = [row for rs in results.normal for row in rs.data]
    return {
        "found": sorted (found, key = lambda row: row.name),
        "databases": [
            {"node": rs.node, "status": rs.status, "rows": len (rs.data), "msg": rs.msg}
            for rs in results
        ],
    }


@app.route ("/cities")
def cities (was):
    s = was.dlb ("mydb")
    s.execute ("SELECT current_database () AS database, name, population FROM cities")
    return s.getwait (timeout = 2)
