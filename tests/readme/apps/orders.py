from skitai.server import ssgi

app = ssgi.Application (__name__)

LOGIN_FORM = "LOGIN FORM"
ORDER_LIST = "ORDERS OF %s"
CART_LIST = "CART OF %s"
SORRY_MSG = "SORRY"

log = []

def is_logged_in (was):
  return was.cookie.get ("userid")

@app.before_request
def before_request (was):
  if not is_logged_in (was):
    return LOGIN_FORM

@app.after_request
def after_request (was):
  log.append (was.request.uri)

@app.teardown_request
def teardown_request (was):
  return SORRY_MSG

@app.route ("/myorders")
def myorders (was):
  return ORDER_LIST % was.cookie ["userid"]

@app.route ("/mycart")
def mycart (was):
  return CART_LIST % was.cookie ["no such cookie"]

@app.route ("/log")
def behavior (was):
  return log
