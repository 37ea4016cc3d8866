"""What is written today: FastAPI, by SQLAlchemy's async engine or by psycopg_pool."""

import os
from contextlib import asynccontextmanager

from fastapi import FastAPI
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

DSN = os.environ["POSTGRES"].split(",")[0]
ROW = "SELECT id, name FROM items WHERE id = "


@asynccontextmanager
async def pools(app):
    async with AsyncConnectionPool(DSN, min_size=1, max_size=10, open=False) as app.state.pool:
        yield


app = FastAPI(lifespan=pools)
engine = create_async_engine(DSN.replace("postgresql:", "postgresql+asyncpg:"), pool_size=10)


@app.get("/row")
async def row():
    async with engine.connect() as connection:
        found = await connection.execute(text(ROW + ":id"), {"id": 500})
        return found.one().name


@app.get("/psycopg")
async def by_psycopg():
    async with app.state.pool.connection() as connection:
        found = await connection.execute(ROW + "%s", (500,))
        return (await found.fetchone())[1]
