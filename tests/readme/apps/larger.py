from skitai.server import ssgi
import greetings

app = ssgi.Application (__name__)
app.set_devel (True)

class Searcher:
  def __init__ (self):
    self.is_open = True

  def close (self):
    self.is_open = False
    print ("the searcher is closed")

# automatically called only once when app engine starts
@app.startup
def startup (wasc, app):
  app.add_package (greetings)
  app.searcher = Searcher ()
  # for sharing with other apps
  # all other apps can access as 'was.searcher'
  wasc.register ("searcher", app.searcher)

# automatically called when you modify this file and if set_devel is True
@app.onreload
def onreload (wasc, app):
  # re-seting
  app.searcher = wasc.searcher

# automatically called only once when app engine enters shutdown process
@app.shutdown
def shutdown (wasc, app):
  # it's same as wasc.searcher.close ()
  app.searcher.close ()
  wasc.unregister ("searcher")

@app.before_request
def before_request (was):
  was.response ["X-Calls"] = "app.before"

@app.after_request
def after_request (was):
  was.response ["X-Calls"] += " app.after"

@app.teardown_request
def teardown_request (was):
  return "SORRY"

@app.route ("/hello/world")
def wget (was):
  return "Hello"

@app.route ("/failure")
def failure (was):
  raise LookupError ("nothing")

@app.route ("/searcher")
def searcher (was):
  return {"is_open": was.searcher.is_open, "is_mine": was.searcher is was.app.searcher}
