from skitai.server import ssgi

app = ssgi.Application (__name__)

@app.route ("/company/<int:cid>/<cname>")
def company (was, cid, cname):
  return "%d - %s" % (cid, cname)

@app.route ("/company")
def company_of_query (was, cid, cname):
  return "%s - %s" % (cid, cname)

@app.route ("/mixed/<int:cid>")
def company_of_both (was, cid, cname):
  return {"cid": cid, "cname": cname}

@app.route ("/form")
def company_of_form (was, **form):
  return {"cid": form.get ("cid"), "cname": form.get ("cname")}

@app.route ("/ratio/<float:ratio>")
def ratio (was, ratio):
  return str (ratio * 2)

@app.route ("/file/<path:name>")
def file (was, name):
  return name

@app.route ("/test/up")
def up (was, **karg):
  return str (karg) + "<hr>" + str (was.request.get_body ())
