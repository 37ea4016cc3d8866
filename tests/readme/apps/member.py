"""One of s1, s2, s3.yourserver.com: what the README's examples ask."""

import random

from skitai.server import ssgi

app = ssgi.Application (__name__)

@app.route ("/search")
def search (was, keyword):
  return ["%s at %s" % (keyword, was.env ["SERVER_PORT"])]

@app.route ("/generate_random_int_list")
def generate_random_int_list (was, count):
  return [random.randrange (20) for _ in range (count)]

@app.route ("/query")
def query (was, what):
  return "no %s" % what

@app.route ("/form")
def form (was, **form):
  return form

@app.route ("/upload")
def upload (was, cid, cname, file):
  return [cid, cname, file ["remote"], file ["mimetype"], file ["size"]]

@app.route ("/page")
def page (was):
  return "<h1>Python</h1>"
