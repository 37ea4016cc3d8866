"""The servers that are asked: as little as a server can do, so that it is the asking that counts.

python upstream.py DESCRIPTOR...      # of listening sockets

GET /fast is answered at once, GET /NUMBER after so many milliseconds. It knows no other requests,
and none that come in pieces or one behind the other.
"""

import asyncio
import socket
import sys

import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 11\r\n\r\nHello World"


class Connection(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        path = data[5 : data.index(b" ", 5)]
        if path == b"fast":
            self.transport.write(ANSWER)
        else:
            loop.call_later(int(path) / 1000, self.answer)

    def answer(self):
        if not self.transport.is_closing():
            self.transport.write(ANSWER)


async def serve():
    for descriptor in sys.argv[1:]:
        await loop.create_server(
            Connection, sock=socket.socket(fileno=int(descriptor)), backlog=1024
        )


loop = uvloop.new_event_loop()
loop.run_until_complete(serve())
loop.run_forever()
