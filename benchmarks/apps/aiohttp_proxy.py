"""A reverse proxy as one writes it with aiohttp: streams both ways, removes what is hop by hop.

python aiohttp_proxy.py PORT UPSTREAM_PORT
"""

import asyncio
import sys

import uvloop
from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web

HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "host"}


class Proxy:
    def __init__(self, upstream):
        self.upstream = upstream

    async def start(self, app):
        self.session = ClientSession(
            connector=TCPConnector(limit=0), cookie_jar=DummyCookieJar(), auto_decompress=False
        )
        yield
        await self.session.close()

    async def handle(self, request):
        fields = [(k, v) for k, v in request.headers.items() if k.lower() not in HOP]
        fields.append(("X-Forwarded-For", request.remote))
        async with self.session.request(
            request.method,
            self.upstream + request.path_qs,
            headers=fields,
            data=request.content if request.can_read_body else None,
            allow_redirects=False,
        ) as answer:
            fields = [(k, v) for k, v in answer.headers.items() if k.lower() not in HOP]
            length = answer.content_length
            if length is not None and length < 65536:
                return web.Response(
                    status=answer.status,
                    headers=fields_without_length(fields),
                    body=await answer.read(),
                )
            response = web.StreamResponse(status=answer.status, headers=dict(fields))
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            await response.write_eof()
            return response


def fields_without_length(fields):
    return {k: v for k, v in fields if k.lower() != "content-length"}


async def main():
    port, upstream = int(sys.argv[1]), sys.argv[2]
    proxy = Proxy(f"http://127.0.0.1:{upstream}")
    app = web.Application(client_max_size=2**40)
    app.cleanup_ctx.append(proxy.start)
    app.router.add_route("*", "/{path:.*}", proxy.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


uvloop.run(main())
