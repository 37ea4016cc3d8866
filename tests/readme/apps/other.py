"""Another app of the same server: it finds what the first has registered."""

from skitai.server import ssgi

app = ssgi.Application (__name__)

@app.route ("/searcher")
def searcher (was):
  return {"is_open": was.searcher.is_open}
