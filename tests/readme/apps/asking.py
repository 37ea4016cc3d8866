from functools import reduce

from skitai.server import ssgi

app = ssgi.Application (__name__)

@app.route ("/test/wget")
def wget (was, url = "https://www.python.org"):
  s = was.wget (url)

  rs = s.getwait (timeout = 2)
  if rs.status == 3:
    return "<pre>" + rs.data.replace ("<", "&lt;").replace ("<", "&gt;") + "</pre>"

@app.route ("/test/post")
def post (was, url):
  s = was.wget (url, {"cid": "555", "cname": "Skitai Corp"})
  return s.getwait (timeout = 2)

@app.route ("/test/upload")
def upload (was, url, logo):
  s = was.wget (
    url,
    {"cid": "555", "cname": "Skitai Corp", "file": open (logo)},
    multipart = True
  )
  return s.getwait (timeout = 2)

@app.route ("/test/rpc")
def rpc (was, url = "https://www.python.org/rpc2"):
  s = was.rpc (url)
  s.query ( "Beethoven")
  return str (s.getwait (timeout = 2))

@app.route ("/test/map")
def map (was):
  s = was.map ("myrpcs/rpc2")
  # we can expect [4,7,76,7,7]
  s.generate_random_int_list (5)

  all = []
  for rs in s.getswait (5):
    if rs.status == 3:
      all.extend (rs.data)

  return {"numbers": all, "sum": reduce (lambda x,y: x+y, all)}

@app.route ("/test/filter")
def map_filter (was):
  def select_func (rs):
    if rs.status == 3:
      rs.data = filter (lambda x: x < 10, rs.data)
    else:
      rs.data = []

  s = was.map ("myrpcs/rpc2", filter = select_func)
  # we can expect [4,7,76,7,7]
  s.generate_random_int_list (5)

  all = []
  for rs in s.getswait (5):
    all.extend (rs.data)

  return {"numbers": all, "sum": reduce (lambda x,y: x+y, all, 0)}

@app.route ("/search")
def search (was, keyword = "Mozart"):
  s = was.lb ("mysearch/rpc2")
  s.search (keyword)
  return s.getwait (timeout = 2)
