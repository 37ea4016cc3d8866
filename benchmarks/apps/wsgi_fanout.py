"""A plain handler with a connection pool, and nothing else."""

import os

import urllib3

PORT = os.environ["UPSTREAM"].partition(",")[0]
pool = urllib3.HTTPConnectionPool("127.0.0.1", int(PORT), maxsize=512)


def app(environ, start_response):
    path = environ["PATH_INFO"].rpartition("/")[2]
    body = pool.request("GET", "/" + path).data
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
