"""What is written today: async handlers, asyncpg's pool, gather, orjson."""

import asyncio
import os
from contextlib import asynccontextmanager

import asyncpg
import orjson
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

DSNS = os.environ["POSTGRES"].split(",")
ROW = "SELECT id, name FROM items WHERE id = $1"
ROWS = "SELECT id, name, price, weight, count, note, active, made FROM items ORDER BY id"


@asynccontextmanager
async def pools(app):
    app.state.pools = [await asyncpg.create_pool(dsn, min_size=1, max_size=10) for dsn in DSNS]
    yield
    for pool in app.state.pools:
        await pool.close()


async def one(pool):
    row = await pool.fetchrow(ROW, 500)
    return row["name"]


async def row(request):
    return PlainTextResponse(await one(request.app.state.pools[0]))


async def map(request):
    names = await asyncio.gather(*[one(pool) for pool in request.app.state.pools])
    return PlainTextResponse(",".join(names))


async def rows(request):
    found = await request.app.state.pools[0].fetch(ROWS)
    body = orjson.dumps([dict(each) for each in found])
    return Response(body, media_type="application/json")


app = Starlette(
    routes=[Route("/row", row), Route("/map", map), Route("/rows", rows)], lifespan=pools
)
