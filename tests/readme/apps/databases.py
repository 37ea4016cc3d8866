from skitai.server import ssgi

app = ssgi.Application (__name__)

@app.route ("/query")
def query (was, keyword):
  s = was.dmap ("mydb")
  s.execute("SELECT * FROM CITIES;")

  results = s.getswait (timeout = 2)

  all_results = []
  for result in results:
    if result.status == 3:
      all_results.append (result.data)
  return all_results

@app.route ("/test/db")
def db (was, server, dbname):
    s = was.db (server, dbname, "postgres", "password")
    s.execute ("SELECT * FROM weather;")
    rs = s.getwait (2)
    return "%s" % rs.data [0:10]

@app.route ("/test/map")
def top_city (was):
    s = was.dmap ("mydbs")
    # we expect [{"name": "Fairfax", "population": 23478}, ...]
    s.execute ("SELECT name, population from CITIES;")

    all = []
    for rs in s.getswait (5):
        if rs.status != 3: continue
        all.extend ([(each ["name"],each ["population"]) for each in rs.data])
    all.sort (key = lambda x: x [1], reverse = True)
    return all [0]

@app.route ("/test/filter")
def map (was):
    def filter_little (rs):
      if rs.status == 3:
        rs.data =  list (filter (lambda x: x ["population"] >= 100000, rs.data))
      else:
        rs.data = []

    s = was.dmap ("mydbs", filter = filter_little)
    # we expect [{"name": "Fairfax", "population": 23478}, ...]
    s.execute ("SELECT name, population from CITIES;")

    all = []
    for rs in s.getswait (5):
        all.extend ([(each ["name"],each ["population"]) for each in rs.data])
    all.sort (key = lambda x: x [1], reverse = True)
    return all

@app.route ("/test/lb")
def lb (was):
    s = was.dlb ("mydbs")
    s.execute ("SELECT name, population from CITIES;")
    return s.getwait (2)

@app.route ("/test/cache")
def cache (was):
    s = was.dlb ("mydbs")
    s.execute ("SELECT name, population from CITIES;")
    result =  s.getwait (2)
    # cache for 300 sec.
    result.cache (timeout = 300)
    return [result.is_cached, result.data]
