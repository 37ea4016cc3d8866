from skitai.server import ssgi

app = ssgi.Application (__name__)
app.set_devel (True)
app.use_session (True)

@app.route ("/test/signin")
def signin (was, username):
  if was.session.get ("logined"):
    return 'Already Loggin as %s' % was.cookie.get ("username")

  if username == "hansroh":
    was.cookie.set ("username", username)
    was.session.set ("logined", True)
    return 'Welcome %s' % (was.cookie.get ("username"))

  else:
    return 'Sorry, You have no permission'

@app.route ("/test/signout")
def signout (was):
  del was.session ["logined"]
  return '%s, Sign Out Success' % was.cookie.get ("username")
