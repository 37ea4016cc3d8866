from skitai.server import ssgi

package = ssgi.Package ()

@package.before_request
def before_request (was):
  was.response ["X-Calls"] = (was.response ["X-Calls"] or "") + " package.before"
  if was.request.get_header ("x-who") == "nobody":
    return "LOGIN FORM"

@package.after_request
def after_request (was):
  was.response ["X-Calls"] += " package.after"

@package.route ("/greeting/morning")
def morning (was):
  was.response ["X-Calls"] += " morning"
  return 'good Morning'

@package.route ("/greeting/failure")
def failure (was):
  raise LookupError ("no greeting")
