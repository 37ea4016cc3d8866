"""Hello World: what a request costs when nothing is asked of anybody.

    python benchmarks/hello.py [--rounds 3] [--seconds 3] [--connections 64]

Server on core 0, wrk on core 1. Needs the extra `bench`, and wrk from Debian.
"""

from __future__ import annotations

import argparse

import bench


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--connections", type=int, default=64)
    given = options.parse_args()

    floor = bench.Side(
        "bare protocol", lambda port: bench.python(str(bench.APPS / "bare.py"), str(port)), "/"
    )
    raw = bench.Side("uvicorn, raw ASGI", bench.uvicorn("asgi_hello"), "/")
    starlette_sync = bench.Side("Starlette def", bench.uvicorn("starlette_hello"), "/sync")
    starlette_async = bench.Side("Starlette async def", bench.uvicorn("starlette_hello"), "/async")
    one, four = bench.skitai("skitai_hello", "threads = 1"), bench.skitai("skitai_hello")
    sides = [
        floor,
        raw,
        starlette_sync,
        starlette_async,
        bench.Side("Skitai def, threads = 1", one, "/sync"),
        bench.Side("Skitai def, threads = 4", four, "/sync"),
        bench.Side("Skitai async def", four, "/async"),
    ]
    bench.measure(sides, given.rounds, given.seconds, given.connections)
    bench.show(sides, [floor, raw, starlette_sync, starlette_async])


if __name__ == "__main__":
    main()
