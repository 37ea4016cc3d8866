"""A member as a process of its own, to be killed: answers every JSON-RPC call with its port.

    python member.py

Says its port on stdout when it listens.
"""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Member(BaseHTTPRequestHandler):
    """Keeps connections."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = {"jsonrpc": "2.0", "id": call["id"], "result": self.server.server_address[1]}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


if __name__ == "__main__":
    with ThreadingHTTPServer(("127.0.0.1", 0), Member) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()
