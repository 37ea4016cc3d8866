"""What is written today: plain handlers, requests, a thread pool."""

import os
from concurrent.futures import ThreadPoolExecutor

import requests
from flask import Flask
from requests.adapters import HTTPAdapter

PORTS = os.environ["UPSTREAM"].split(",")

app = Flask(__name__)
pool = ThreadPoolExecutor(64)
session = requests.Session()
session.trust_env = False  # else it looks for proxies and passwords with every request
session.mount("http://", HTTPAdapter(pool_connections=len(PORTS), pool_maxsize=64))


def get(port, path="fast"):
    return session.get(f"http://127.0.0.1:{port}/{path}").content


@app.get("/fan/<int:count>")
def fan(count):
    return str(sum(len(each) for each in pool.map(get, PORTS[:count])))


@app.get("/one/<path>")
def one(path):
    return get(PORTS[0], path)
