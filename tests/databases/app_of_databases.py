"""The app of test_served: plain handlers that ask databases."""

import json
import os

from skitai.errors import ClientGone, TransactionFailed
from skitai.server import ssgi

app = ssgi.Application(__name__)

SERVER = os.environ["TEST_PG_SERVER"].split(" ")


def told(rs):
    return [int(rs.status), rs.code, rs.data, rs.msg]


@app.route("/db")
def db(was, sql, timeout="10"):
    s = was.db(*SERVER)
    s.execute(sql)
    return json.dumps(told(s.getwait(float(timeout))))


@app.route("/row")
def row(was, id):
    s = was.db("@mydb")
    s.execute("SELECT name, population FROM cities WHERE id = %s", (int(id),))
    return s.getwait(10).data


@app.route("/dmap")
def dmap(was, sql):
    s = was.dmap("mydb")
    s.execute(sql)
    return json.dumps([told(rs) for rs in s.getswait(10)])


@app.route("/filtered")
def filtered(was):
    def large(rs):
        rs.data = [row.name for row in rs.data if row.population > 100000]

    s = was.dmap("@mydb", filter=large)
    s.execute("SELECT name, population FROM cities ORDER BY id")
    return json.dumps([rs.data for rs in s.getswait(10)])


@app.route("/quorum")
def quorum(was):
    s = was.dmap("mydb")
    s.execute("SELECT current_database() AS name FROM pg_sleep(%s)", (0,))
    return json.dumps([int(rs.status) for rs in s.getswait(10, first=1)])


@app.route("/dlb")
def dlb(was, sql):
    s = was.dlb("mydb")
    s.execute(sql)
    return s.getwait(10)


@app.route("/several")
def several(was):
    s = was.dlb("mydb")
    for number in range(3):
        s.execute("SELECT %s::int AS n", (number,))
    return json.dumps([rs.data[0].n for rs in s.getswait(10)])


@app.route("/cached")
def cached(was):
    s = was.dlb("mydb", cache=3600)
    s.execute("SELECT clock_timestamp()::text AS t, 1.5::numeric AS n")
    rs = s.getwait(10)
    first = dict(rs.data[0])
    rs.data[0]["t"] = "changed"
    return json.dumps([rs.is_cached, first["t"], str(first["n"]), rs.columns, rs.rowcount])


@app.route("/cached-by-result")
def cached_by_result(was):
    s = was.dmap("mydb")
    s.execute("SELECT clock_timestamp()::text AS t")
    results = s.getswait(10)
    results.cache(3600)
    return json.dumps([[rs.is_cached, rs.data[0].t] for rs in results])


@app.route("/transfer")
def transfer(was, amount, fail=""):
    before = "UPDATE accounts SET amount = amount - %s WHERE id = 1"
    try:
        with was.db("@mydb").transaction() as tx:
            tx.execute(before, (int(amount),)).getwait(10)
            with tx.savepoint():
                tx.execute("UPDATE accounts SET amount = amount + %s WHERE id = 2", (int(amount),))
            if fail == "raise":
                raise ValueError("a mistake of the app's")
            if fail == "sql":
                tx.execute("SELECT 1 / 0").getwait(10)
            if fail == "late":
                tx.execute("SELECT pg_sleep(60)").getwait(0.05)
    except (ValueError, TransactionFailed) as error:
        return f"{type(error).__name__}: {error}"
    return "done"


@app.route("/sleeping-transaction")
def sleeping_transaction(was):
    with was.db("@mydb").transaction() as tx:
        tx.execute("INSERT INTO accounts VALUES (99, 99)").getwait(10)
        tx.execute("SELECT pg_sleep(60)").getwait(60)


@app.route("/forgotten")
def forgotten(was):
    rows = iter(was.db("@mydb").stream("SELECT generate_series(1, 100000) AS n", batch=10))
    was.g.rows = rows
    return str(next(rows).n)


@app.route("/forgotten-transaction")
def forgotten_transaction(was):
    tx = was.db("@mydb").transaction()
    tx.__enter__()
    tx.execute("INSERT INTO accounts VALUES (98, 98)").getwait(10)
    return "forgotten"


@app.route("/stream")
def stream(was, count, width="10"):
    s = was.db("@mydb")
    rows = s.stream(
        "SELECT generate_series(1, %s) AS n, repeat('x', %s) AS text",
        (int(count), int(width)),
        batch=100,
    )
    return (f"{row.n},{row.text}\n" for row in rows)


@app.route("/copy")
def copy(was, count):
    with was.db("@mydb").transaction() as tx:
        tx.execute("CREATE TEMP TABLE t (id int, name text) ON COMMIT DROP").getwait(10)
        rows = ((number, f"name\t{number}") for number in range(int(count)))
        copied = tx.copy_in("COPY t FROM STDIN", rows).getwait(30)
        size = sum(len(piece) for piece in tx.copy_out("COPY t TO STDOUT"))
    return json.dumps([copied.rowcount, size])


@app.route("/slow")
def slow(was, seconds):
    try:
        s = was.db("@mydb")
        s.execute("SELECT pg_sleep(%s)", (float(seconds),))
        return str(int(s.getwait(60).status))
    except ClientGone:
        was.logger.info("the client has left a slow statement")
        raise


@app.route("/async")
async def asynchronous(was):
    s = was.db("@mydb")
    s.execute("SELECT 1 AS one")
    async with was.db("@mydb").transaction() as tx:
        two = await tx.execute("SELECT 2 AS two")
    rows = [row.n async for row in was.db("@mydb").stream("SELECT generate_series(1, 3) AS n")]
    return json.dumps([(await s).data[0].one, two.data[0].two, rows])


@app.route("/status")
def status(was):
    return {"clusters": {"mydb": was.clusters["mydb"].status()}}


app.set_devel(False)
