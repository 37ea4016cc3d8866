from skitai.server import ssgi

app = ssgi.Application (__name__)

@app.route ("/info")
def info (was, **args):
  path, param, querystring, fragment = was.request.split_uri ()
  return {
    "length": was.request.get_header ("content-length"),
    "raw": was.request.get_raw_header (),
    "parts": [path, param, querystring, fragment],
    "body": (was.request.get_body () or b"").decode (),
    "command": was.request.command,
    "version": was.request.version,
    "uri": was.request.uri,
  }

@app.route ("/only-post")
def only_post (was):
  if was.request.command == "get":
    was.request.set_response (405, "Method Not Allowed")
    return "Not allowed get method for %s" % was.request.uri
  return "posted"

@app.route ("/started")
def started (was):
  was.response.start (405, "Method Not Allowed")
  return "started"

@app.route ("/fields")
def fields (was):
  was.response ["Location"] = "/newloc"
  was.response.set ("X-Location", "/newloc")
  was.response.update ("X-Location", "/newest")
  was.response.set ("X-Gone", "soon")
  was.response.delete ("X-Gone")
  return str (was.response.has_key ("Content-Type"))

@app.route ("/instant")
def instant (was):
  was.response.instant (100)
  return "and then this"

@app.route ("/error")
def error (was):
  was.response ["Location"] = "/newloc"
  return  was.response.error (307)

@app.route ("/env")
def env (was, **args):
  return dict (was.env)
