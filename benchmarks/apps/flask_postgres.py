"""What is written today: plain handlers, psycopg's pool."""

import os

from flask import Flask
from psycopg_pool import ConnectionPool

app = Flask(__name__)
pool = ConnectionPool(os.environ["POSTGRES"].split(",")[0], min_size=1, max_size=10, open=True)


@app.get("/row")
def row():
    with pool.connection() as connection:
        found = connection.execute("SELECT id, name FROM items WHERE id = %s", (500,))
        return found.fetchone()[1]
