from skitai.server import ssgi

app = ssgi.Application (__name__)
app.set_devel (True)

@app.route ("/hello")
def hello (was):
  return 'Hello World'

@app.route ("/search")
def search (was, keyword = "Mozart"):
  s = was.map ("mysearch/rpc2")
  s.search (keyword)

  results = s.getswait (timeout = 2)

  all_results = []
  for result in results:
    if result.status == 3:
      all_results.extend (result.data)
  return all_results
